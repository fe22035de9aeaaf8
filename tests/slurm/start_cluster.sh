#!/usr/bin/env bash
# Start a real SLURM cluster on 127.0.0.1, as root, without systemd and without a word in /etc. A second call starts
# what is not running. Afterwards:  . "$SLURM_SANDBOX/env.sh"; sinfo
#
#   partition cpu      nodes cpu1 … cpuN (the default partition)
#   partition highmem  node high1, which says that it has much memory
#   partition gpu      node gpu1 with one GPU: a device that nothing answers on
#
# Variables, with their defaults:
#   SLURM_SANDBOX=/tmp/slurm-sandbox   folder of the cluster's state; short, since sockets lie in it
#   SLURM_PORT_BASE=17000              it listens on this port and the 200 that follow
#   NODE_PREFIX=                       begins the nodes' names: clusters that run side by side must differ in it
#   CPU_NODES=3 NODE_CPUS=2 NODE_MEM=4000 HIGH_MEM=64000      nodes, and cores and MB of each
#   ACCT=1         accounting (mariadb, slurmdbd); 0: none
#   CGROUP=auto    1: the kernel limits memory and devices (job state OUT_OF_MEMORY), where there is a cgroup v1 tree
#   MEMKILL=1      without cgroups: a job above its memory is killed, looked at every second
#   MIN_JOB_AGE=3600 SLURMD_TIMEOUT=60   seconds: ended jobs are known to squeue; a silent node counts as lost
set -euo pipefail

S=${SLURM_SANDBOX:-/tmp/slurm-sandbox}
PORT=${SLURM_PORT_BASE:-17000}
PREFIX=${NODE_PREFIX:-}
CPU_NODES=${CPU_NODES:-3} NODE_CPUS=${NODE_CPUS:-2} NODE_MEM=${NODE_MEM:-4000} HIGH_MEM=${HIGH_MEM:-64000}
ACCT=${ACCT:-1} CGROUP=${CGROUP:-auto} MEMKILL=${MEMKILL:-1}
MIN_JOB_AGE=${MIN_JOB_AGE:-3600} SLURMD_TIMEOUT=${SLURMD_TIMEOUT:-60}
PATH=/usr/sbin:/sbin:$PATH
HOST=$(hostname -s)
GPU_NODE=${PREFIX}gpu1 HIGH_NODE=${PREFIX}high1
mapfile -t CPU_NAMES < <(seq -f "${PREFIX}cpu%g" "$CPU_NODES")
NODES=("${CPU_NAMES[@]}" "$HIGH_NODE" "$GPU_NODE")
export SLURM_CONF=$S/etc/slurm.conf

refuse() { echo "$1" >&2; exit 2; }

check_host() {
    local needed=(munged slurmctld slurmd sbatch sinfo) name
    [ "$ACCT" = 0 ] || needed+=(slurmdbd mariadbd mariadb-install-db sacctmgr)
    for name in "${needed[@]}"; do
        command -v "$name" >/dev/null || refuse "$name is not installed. Run: tests/slurm/install.sh"
    done
    [ "$(id -u)" = 0 ] || refuse "A cluster can only be started by root."
}

make_folders() {
    mkdir -p "$S"/{bin,db,etc,log,munge,run,spool,state}
    chmod 755 "$S" "$S"/{etc,log,munge,run,spool,state}
    exec 9>"$S/run/.lock"
    flock -w 60 9 || refuse "Another start of the cluster in $S does not end."
}

alive() { [ -s "$S/run/$1.pid" ] && kill -0 "$(cat "$S/run/$1.pid")" 2>/dev/null; }

wait_for() {  # seconds, command (each try takes 5 s at most) or function
    local seconds=$1 end=$((SECONDS + $1)); shift
    while [ $SECONDS -lt $end ]; do
        if [ "$(type -t "$1")" = function ]; then "$@" >/dev/null 2>&1 && return 0
        else timeout 5 "$@" >/dev/null 2>&1 && return 0; fi
        sleep .1
    done
    echo "After $seconds s this still fails: $*. See $S/log." >&2
    return 1
}

# ---- Configuration: the same variables give the same text ------------------------------------------------------------

choose_limits() {
    [ "$CGROUP" != auto ] || CGROUP=$(cgroup_v1 && echo 1 || echo 0)
    [ "$CGROUP" = 0 ] || MEMKILL=0
}

cgroup_v1() {
    local probe=/sys/fs/cgroup/memory/.slurm-probe
    mkdir "$probe" 2>/dev/null && rmdir "$probe" && [ -d /sys/fs/cgroup/freezer ]
}

limits() {
    if [ "$CGROUP" = 1 ]; then echo ProctrackType=proctrack/cgroup; echo TaskPlugin=task/cgroup
    else echo ProctrackType=proctrack/linuxproc; echo TaskPlugin=task/none; fi
    # Pages that processes share count once, as for the limit of the kernel: not once per process.
    echo "JobAcctGatherParams=UsePss$([ "$MEMKILL" = 0 ] || echo ,OverMemoryKill)"
}

# Daemons listen where the name of this machine leads. Where that is not 127.0.0.1 they listen everywhere, and only the
# key of munge keeps strangers out: the name would have to be written into /etc.
listening() { ! getent ahostsv4 "$HOST" | grep -q '^127\.' || echo "CommunicationParameters=$1"; }

accounting() {
    if [ "$ACCT" = 0 ]; then echo AccountingStorageType=accounting_storage/none; return; fi
    cat <<END
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$((PORT + 3))
AccountingStoragePass=$S/munge/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
END
}

node() {  # name, port, memory, further words
    echo "NodeName=$1 NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$2 CPUs=$NODE_CPUS Boards=1 SocketsPerBoard=1" \
        "CoresPerSocket=$NODE_CPUS ThreadsPerCore=1 RealMemory=$3 ${4:-}"
}

nodes() {
    local i
    for i in $(seq "$CPU_NODES"); do node "${PREFIX}cpu$i" $((PORT + 100 + i)) "$NODE_MEM"; done
    node "$HIGH_NODE" $((PORT + 99)) "$HIGH_MEM"
    node "$GPU_NODE" $((PORT + 100)) "$NODE_MEM" Gres=gpu:1
}

partitions() {
    local limits="MaxTime=1-00:00:00 DefaultTime=60 State=UP"
    echo "PartitionName=cpu Nodes=$(IFS=,; echo "${CPU_NAMES[*]}") Default=YES $limits"
    echo "PartitionName=highmem Nodes=$HIGH_NODE $limits"
    echo "PartitionName=gpu Nodes=$GPU_NODE $limits"
}

write_slurm_conf() {
    cat > "$S/etc/slurm.conf" <<END
ClusterName=sandbox
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$((PORT + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$S/munge/munge.sock
CryptoType=crypto/munge
$(listening NoCtldInAddrAny,NoInAddrAny)
StateSaveLocation=$S/state
SlurmdSpoolDir=$S/spool/%n
SlurmctldPidFile=$S/run/slurmctld.pid
SlurmdPidFile=$S/run/slurmd-%n.pid
SlurmctldLogFile=$S/log/slurmctld.log
SlurmdLogFile=$S/log/slurmd-%n.log
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdTimeout=$SLURMD_TIMEOUT
SlurmctldTimeout=60
KillWait=3
MinJobAge=$MIN_JOB_AGE
MaxArraySize=1001
MaxJobCount=50000
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=5,sched_min_interval=0
PriorityType=priority/basic
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobRequeue=1
GresTypes=gpu
DefMemPerCPU=500
$(limits)
$(accounting)
$(nodes)
$(partitions)
END
}

# slurmd wants a character device whose name ends in the GPU's number. Major 240 is for local use: nothing answers. It
# is no clone of /dev/null, which ConstrainDevices would then take from every job without a GPU.
write_gpu() {
    local device=$S/run/nvidia0
    rm -f "$device"
    mknod -m 666 "$device" c 240 0 2>/dev/null || device=$(find /dev/loop0 /dev/tty0 -maxdepth 0 2>/dev/null | head -1)
    printf 'AutoDetect=off\nNodeName=%s Name=gpu File=%s\n' "$GPU_NODE" "${device:-/dev/null}" > "$S/etc/gres.conf"
    printf '%s\n' CgroupPlugin=cgroup/v1 CgroupAutomount=yes ConstrainRAMSpace=yes ConstrainDevices=yes \
        ConstrainSwapSpace=no > "$S/etc/cgroup.conf"
}

write_slurmdbd_conf() {
    (umask 077; cat > "$S/etc/slurmdbd.conf") <<END
AuthType=auth/munge
AuthInfo=socket=$S/munge/munge.sock
DbdHost=$HOST
DbdAddr=127.0.0.1
DbdPort=$((PORT + 3))
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((PORT + 4))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
PidFile=$S/run/slurmdbd.pid
LogFile=$S/log/slurmdbd.log
$(listening NoInAddrAny)
END
}

# Inside a job, Snakemake's plug-in drops every SLURM_* variable, SLURM_CONF among them, before it calls srun. A site
# has /etc/slurm; here each client command is one that knows its configuration.
write_clients() {
    local name real
    for name in sbatch srun salloc squeue sacct sinfo scancel scontrol sacctmgr sshare sstat sreport sprio; do
        real=$(PATH=/usr/bin:/usr/local/bin command -v "$name") || continue
        printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$SLURM_CONF" "$real" > "$S/bin/$name"
        chmod 755 "$S/bin/$name"
    done
    cat > "$S/env.sh" <<END
export SLURM_SANDBOX=$S
export SLURM_CONF=$SLURM_CONF
case ":\$PATH:" in *":$S/bin:"*) ;; *) export PATH=$S/bin:\$PATH ;; esac
END
}

# ---- Daemons: each is left alone where it runs -----------------------------------------------------------------------

start_munge() {
    ! alive munged || return 0
    rm -f "$S"/munge/munge.sock*
    [ -s "$S/munge/munge.key" ] || (umask 077; head -c 1024 /dev/urandom > "$S/munge/munge.key")
    munged --key-file="$S/munge/munge.key" --socket="$S/munge/munge.sock" --pid-file="$S/run/munged.pid" \
        --log-file="$S/log/munged.log" --seed-file="$S/munge/munge.seed" --num-threads=4 9>&-
    wait_for 10 munge -n -S "$S/munge/munge.sock"
}

start_database() {
    ! alive mariadbd || return 0
    [ -d "$S/db/mysql" ] || mariadb-install-db --no-defaults --user=root --datadir="$S/db" \
        --auth-root-authentication-method=normal --skip-test-db > "$S/log/mariadb-install.log" 2>&1
    setsid mariadbd --no-defaults --user=root --datadir="$S/db" --bind-address=127.0.0.1 --port=$((PORT + 4)) \
        --socket="$S/run/my.sock" --pid-file="$S/run/mariadbd.pid" --innodb-buffer-pool-size=128M \
        --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 --skip-log-bin \
        --log-error="$S/log/mariadbd.log" </dev/null >/dev/null 2>&1 9>&- &
    wait_for 30 mariadb-admin --no-defaults -uroot -S "$S/run/my.sock" ping
    mariadb --no-defaults -uroot -S "$S/run/my.sock" <<END
CREATE DATABASE IF NOT EXISTS slurm_acct;
CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY 'slurm';
CREATE USER IF NOT EXISTS slurm@localhost IDENTIFIED BY 'slurm';
GRANT ALL ON slurm_acct.* TO slurm@'127.0.0.1';
GRANT ALL ON slurm_acct.* TO slurm@localhost;
END
}

start_accounting() {
    [ "$ACCT" = 1 ] || return 0
    start_database
    if ! alive slurmdbd; then
        slurmdbd 9>&-
        wait_for 40 bash -c 'sacctmgr -nP show cluster'
    fi
    known cluster sandbox || sacctmgr -iQ add cluster sandbox > /dev/null
    known account demo || sacctmgr -iQ add account demo Description=demo Organization=demo > /dev/null
    known assoc user=root account=demo format=user || sacctmgr -iQ add user root account=demo > /dev/null
}

known() { [ -n "$(sacctmgr -nP show "$@")" ]; }

start_slurm() {
    local name
    alive slurmctld || slurmctld 9>&-
    wait_for 20 scontrol ping
    for name in "${NODES[@]}"; do alive "slurmd-$name" || slurmd -N "$name" 9>&-; done
    wait_for 30 ready || { sinfo -N >&2; tail -5 "$S"/log/slurmd-*.log >&2; exit 1; }
}

ready() { [ "$(sinfo -hN -o '%N %t' | sort -u | grep -cE ' (idle|mix|alloc)$')" -eq ${#NODES[@]} ]; }

check_host
make_folders
choose_limits
write_slurm_conf
write_gpu
write_slurmdbd_conf
write_clients
start_munge
start_accounting
start_slurm
sinfo -o '%P %a %D %t %N %c %m %G'
