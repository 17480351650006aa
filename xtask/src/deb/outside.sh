# A copy of this machine in memory, in which inside.sh runs. $1 is a folder that has `debs`.
place=$1
mount --make-rprivate /
mkdir "$place/layer"
mount -t tmpfs -o mode=755 layer "$place/layer"
mkdir "$place/layer/upper" "$place/layer/work" "$place/layer/root"
root=$place/layer/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$place/layer/upper,workdir=$place/layer/work" "$root"
mkdir -p "$root/debs" "$root/proc" "$root/dev" "$root/run"
cp "$place"/debs/* "$root/debs/"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs -o mode=755 run "$root/run"
# Loopback of its own: ports that are taken on the machine are free here.
ip link set lo up
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    chroot "$root" sh -eu /debs/inside.sh < /dev/null
