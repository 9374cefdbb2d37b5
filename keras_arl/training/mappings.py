"""How near this process is to Linux's limit of memory mappings.

XLA's code for a CPU takes hundreds of them per program, and a process that has
`vm.max_map_count` of them dies of the next compilation.
"""


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
