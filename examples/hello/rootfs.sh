#!/bin/sh
# Makes rootfs.tar, the base of this example's image: a Python interpreter and busybox out of the distribution's own
# packages. So the image can be built where no registry can be reached, and nothing has to be installed for it.
# Works on Debian and Ubuntu without root, and does nothing where rootfs.tar is already there.
set -eu
umask 022
cd "$(dirname "$0")"

if [ -s rootfs.tar ]; then
    exit 0
fi
for tool in apt-get apt-cache dpkg-deb tar; do
    command -v "$tool" > /dev/null || {
        echo "rootfs.sh: $tool is not here: rootfs.tar is made of Debian's or Ubuntu's packages" >&2
        exit 1
    }
done

# `python3-minimal` depends on the interpreter of this release, whose name carries its version: python3.11-minimal.
python=$(apt-cache depends python3-minimal 2> /dev/null | sed -n 's/.*: *\(python3\.[0-9]*\)-minimal$/\1/p' | head -n 1)
[ -n "$python" ] || {
    echo "rootfs.sh: apt knows no python3-minimal; type: sudo apt-get update" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/packages" "$work/root"

# apt's own unprivileged user may not write to a private directory, hence the sandbox option; it matters for root alone.
(cd "$work/packages" && apt-get -qq -o APT::Sandbox::User=root download \
    "$python-minimal" "lib$python-minimal" "lib$python-stdlib" libc6 libexpat1 zlib1g busybox-static) || {
    echo "rootfs.sh: the packages could not be downloaded; type: sudo apt-get update, then try again" >&2
    exit 1
}

# Documents, tests, rare codecs, and modules of libraries that are not in the list above.
cat > "$work/left-out" << 'END'
./etc
./usr/share
./usr/lib/python3*/test
./usr/lib/python3*/pydoc_data
./usr/lib/python3*/idlelib
*/__pycache__
*/gconv
_codecs_*.so
_test*.so
_ssl.*.so
_hashlib.*.so
END

# Older releases ship /bin and /lib, newer ones /usr/bin and /usr/lib: the links let both land in the same place.
cd "$work/root"
mkdir -p usr/bin usr/lib usr/lib64 usr/sbin etc root
for directory in bin lib lib64 sbin; do
    ln -s "usr/$directory" "$directory"
done
for package in ../packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" |
        tar --extract --keep-directory-symlink --no-same-owner --exclude-from="$work/left-out"
done
ln -s "$python" usr/bin/python3
for applet in $(usr/bin/busybox --list); do
    [ -e "usr/bin/$applet" ] || ln -s busybox "usr/bin/$applet"
done

printf 'root:x:0:0:root:/root:/bin/sh\nhello:x:1000:1000:hello:/srv:/bin/sh\n' > etc/passwd
printf 'root:x:0:\nhello:x:1000:\n' > etc/group
printf 'hosts: files dns\n' > etc/nsswitch.conf
mkdir -m 1777 tmp

cd "$OLDPWD"
# Sorted names, no owner and one time for everything: the same packages give the same bytes.
tar --create --file "$work/rootfs.tar" --directory "$work/root" --format=gnu --sort=name --mtime=@0 \
    --owner=0 --group=0 --numeric-owner .
# Moved at the end, so that an interrupted run leaves no half of it.
mv "$work/rootfs.tar" rootfs.tar.new
mv rootfs.tar.new rootfs.tar
echo "rootfs.tar: $python, $(($(wc -c < rootfs.tar) / 1048576)) MiB"
