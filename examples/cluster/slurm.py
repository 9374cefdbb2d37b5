"""Searches on a Slurm cluster: this program submits the workers' jobs itself.

    pip install 'keras-arl[cluster]' dask-jobqueue
    python examples/cluster/slurm.py

Run it on a node that may submit jobs and that the workers' nodes can reach, in
a directory that both share. Killed and started again, it continues. Workers
whose time is up come again as long as the program runs (`adapt`). The scheduler
accepts whoever reaches it: use TLS (`security=`, see the configuration of
Dask) where others share the network.

We had no cluster: the job script that this submits was made and read, not run.
"""

import dask_jobqueue
import distributed

import keras_arl

WORKERS = 16


def main():
    tuner = keras_arl.search.LossTuner(
        keras_arl.search.CMAESOracle(tasks_per_generation=16, seed=0),
        tasks=keras_arl.tasks.TaskFamily(),
        directory="search",
    )
    with (
        dask_jobqueue.SLURMCluster(
            cores=1,
            processes=1,
            memory="8GB",
            walltime="04:00:00",
            # Sums depend on the number of threads: one number for all.
            job_script_prologue=["export NPROC=1 TF_NUM_INTRAOP_THREADS=1"],
            worker_extra_args=["--dashboard-address", "127.0.0.1:0"],
            scheduler_options={"dashboard_address": "127.0.0.1:0"},
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        cluster.adapt(minimum=1, maximum=WORKERS)
        tuner.search(executor=client)
    keras_arl.losses.save(tuner.best_loss(), "loss.json")


if __name__ == "__main__":
    main()
