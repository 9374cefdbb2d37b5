#!/usr/bin/env bash
# Searches on hosts that SSH reaches, this machine being the first of them:
#
#   examples/cluster/ssh.sh HOST [HOST ...] -- [flags of search_oracle.py]
#
# Each host has the same Python environment, with keras-arl[cluster], at the
# same path and reaches this machine at $SCHEDULER (default: its first address).
# WORKERS=4 starts so many workers on each. The scheduler accepts whoever reaches
# it: use this inside a network of your own, or configure Dask's TLS.
# We had no hosts: this was not run.
set -euo pipefail

python=$(command -v python)
address=${SCHEDULER:-$(hostname -I | cut -d' ' -f1)}:8786
workers=${WORKERS:-1}
hosts=()
while [ $# -gt 0 ] && [ "$1" != "--" ]; do
  hosts+=("$1")
  shift
done
[ $# -gt 0 ] && shift
[ ${#hosts[@]} -gt 0 ] || { echo "ssh.sh: name at least one host" >&2; exit 1; }

trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
"$python" -m distributed.cli.dask_scheduler --host "${address%:*}" --port 8786 \
  --dashboard-address 127.0.0.1:0 &
# Sums depend on the number of threads: one number for all.
for host in "${hosts[@]}"; do
  ${SSH:-ssh} "$host" NPROC=1 TF_NUM_INTRAOP_THREADS=1 "$python" \
    -m distributed.cli.dask_worker "tcp://$address" --nthreads 1 \
    --nworkers "$workers" --dashboard-address 127.0.0.1:0 --death-timeout 60 &
done
NPROC=1 TF_NUM_INTRAOP_THREADS=1 "$python" examples/search_oracle.py \
  --scheduler="tcp://$address" "$@"
