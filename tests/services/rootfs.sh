#!/bin/sh
# Makes the root file systems of two images, postgres.tar and redis.tar, out of the distribution's own packages, so that the
# tests of services meet the real programs where no registry can be reached. Works on Debian and Ubuntu without root, and
# does nothing where both are there.
# usage: tests/services/rootfs.sh DIRECTORY
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
target=$1
mkdir -p "$target"
cd "$target"

if [ -s postgres.tar ] && [ -s redis.tar ]; then
    exit 0
fi
for tool in apt-get apt-cache dpkg-deb tar; do
    command -v "$tool" > /dev/null || {
        echo "rootfs.sh: $tool is not here: the images are made of Debian's or Ubuntu's packages" >&2
        exit 1
    }
done

# `postgresql` depends on the server of this release, whose name carries its version: postgresql-15.
postgres=$(apt-cache depends postgresql 2> /dev/null | sed -n 's/.*: *\(postgresql-[0-9]*\)$/\1/p' | head -n 1)
[ -n "$postgres" ] || {
    echo "rootfs.sh: apt knows no postgresql; type: sudo apt-get update" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# A package with the libraries it needs. The compiler for queries, Perl and what only installs packages stay out.
closure() { # packages
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
        sed -n '/^[a-z0-9]/p' | sort -u | grep -E "^(lib|zlib1g|$(echo "$@" | tr ' ' '|'))" |
        grep -Ev 'perl|llvm|libz3|debian-installer|newt|textwrap|elogind|semanage|:'
}

make_root() { # name, packages
    name=$1
    shift
    root=$work/$name
    mkdir -p "$root/packages"
    # apt's own unprivileged user may not write to a private directory, hence the sandbox option; for root alone.
    # shellcheck disable=SC2046
    (cd "$root/packages" && apt-get -qq -o APT::Sandbox::User=root download $(closure "$@") busybox-static) || {
        echo "rootfs.sh: the packages of $name could not be downloaded; type: sudo apt-get update, then try again" >&2
        exit 1
    }
    # Older releases ship /bin and /lib, newer ones /usr/bin and /usr/lib: the links let both land in the same place.
    mkdir -p "$root/root/usr/bin" "$root/root/usr/lib" "$root/root/usr/lib64" "$root/root/usr/sbin" "$root/root/etc"
    cd "$root/root"
    for directory in bin lib lib64 sbin; do
        ln -s "usr/$directory" "$directory"
    done
    for package in ../packages/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar --extract --keep-directory-symlink --no-same-owner --exclude='./etc/*' \
            --exclude=./usr/share/doc --exclude=./usr/share/locale --exclude=./usr/share/man --exclude='*/gconv' \
            --exclude='*/llvmjit*' --exclude='*/bitcode'
    done
    for applet in $(usr/bin/busybox --list); do
        [ -e "usr/bin/$applet" ] || [ -e "usr/sbin/$applet" ] || ln -s busybox "usr/bin/$applet"
    done
    for program in usr/lib/postgresql/*/bin/*; do
        [ ! -e "$program" ] || ln -sf "/$program" usr/bin/
    done
    # PostgreSQL refuses to run as root.
    printf 'root:x:0:0:root:/:/bin/sh\nservice:x:999:999:service:/tmp:/bin/sh\n' > etc/passwd
    printf 'root:x:0:\nservice:x:999:\n' > etc/group
    printf 'hosts: files dns\n' > etc/nsswitch.conf
    mkdir -p -m 1777 tmp
    install -m 755 "$here/$name.sh" entrypoint
    tar --create --file "$work/$name.tar" --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner .
    # Moved at the end, so that an interrupted run leaves no half of it.
    mv "$work/$name.tar" "$target/$name.tar.new"
    mv "$target/$name.tar.new" "$target/$name.tar"
    cd "$target"
    echo "$name.tar: $(($(wc -c < "$name.tar") / 1048576)) MiB"
}

make_root postgres "$postgres" "postgresql-client-${postgres#postgresql-}"
make_root redis redis-server redis-tools
