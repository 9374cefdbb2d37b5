"""Which compiled programs a process keeps.

XLA's code for a CPU takes hundreds of memory mappings per program, and a
process that has Linux's `vm.max_map_count` of them dies of the next
compilation.
"""

import gc


def keep(programs, key, program, at_most):
    """Adds a program to those that are kept; drops those unused for longest.

    Args:
        programs: A `collections.OrderedDict`, the one used last at its end.
        key: The program's key.
        program: The program.
        at_most: Number of programs that are kept.
    """
    programs[key] = program
    while len(programs) > at_most:
        programs.popitem(last=False)
    if are_scarce():
        for _ in range(len(programs) // 2):
            programs.popitem(last=False)
        # Models are in cycles, which would keep the programs.
        gc.collect()


def are_scarce():
    """Whether more than half of the mappings that Linux allows are in use.

    Elsewhere they never are.
    """
    try:
        with open("/proc/sys/vm/max_map_count") as file:
            limit = int(file.read())
        with open("/proc/self/maps", "rb") as file:
            return 2 * sum(1 for _ in file) > limit
    except OSError:
        return False
