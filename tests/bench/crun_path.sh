#!/bin/sh
# What a script around crun does to make a sandbox: overlay, 9 x ip, crun run. The yardstick of bench.py, which starts
# it in a mount and a network namespace of its own and writes one command per line; every answer is "ok" or "error".
#
#   create ID    directories, overlay, network namespace with a routed veth pair, crun run --detach
#   exec ID      crun exec ID /bin/bash -l -c true
#   delete ID    undoes create
#
# $1 is a directory with bundle-ID/config.json (bench.py writes them) and skeleton/.
cd "$1" || exit 1
# This crun refuses to run on a hybrid host while it sees v2: cover it. On a pure v2 host there is nothing to cover.
if [ -d /sys/fs/cgroup/unified ]; then mount -t tmpfs none /sys/fs/cgroup/unified || exit 1; fi
mkdir -p /run/netns
mount -t tmpfs none /run/netns || exit 1

network() {
  ip netns add "n$1" &&
    ip link add "v$1" type veth peer name eth0 netns "n$1" &&
    ip link set "v$1" up &&
    ip route add "10.71.0.$1/32" dev "v$1" &&
    ip -n "n$1" link set lo up &&
    ip -n "n$1" addr add "10.71.0.$1/32" dev eth0 &&
    ip -n "n$1" link set eth0 up &&
    ip -n "n$1" route add 169.254.1.1 dev eth0 &&
    ip -n "n$1" route add default via 169.254.1.1 dev eth0
}

create() {
  mkdir "bundle-$1/upper" "bundle-$1/work" "bundle-$1/rootfs" &&
    mount -t overlay overlay -o "lowerdir=skeleton,upperdir=bundle-$1/upper,workdir=bundle-$1/work,volatile" \
      "bundle-$1/rootfs" &&
    network "$1" &&
    crun --root "$PWD/state" run --detach --bundle "bundle-$1" "sandlot-bench-$1" </dev/null >/dev/null 2>>crun.log
}

delete() {
  crun --root "$PWD/state" delete --force "sandlot-bench-$1" 2>>crun.log
  umount "bundle-$1/rootfs"
  ip netns del "n$1"
  rm -rf "bundle-$1/upper" "bundle-$1/work" "bundle-$1/rootfs"
}

while read -r command id; do
  case $command in
    create) create "$id" ;;
    exec) crun --root "$PWD/state" exec "sandlot-bench-$id" /bin/bash -l -c true </dev/null >/dev/null 2>>crun.log ;;
    delete) delete "$id" ;;
    *) false ;;
  esac && echo ok || echo error
done

for rootfs in bundle-*/rootfs; do
  [ -d "$rootfs" ] || continue
  id=${rootfs#bundle-}
  delete "${id%/rootfs}"
done
