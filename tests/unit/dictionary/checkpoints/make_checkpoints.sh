#!/bin/sh
# For maintainers; CI does not run it. Installs each SAE library into an environment of its own (they do not go
# together) and packs what they save into checkpoints.tar.xz. Needs the network and some GB of disk.
# Use: sh make_checkpoints.sh [folder for the environments] [torch requirement]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}
torch=${2:-torch==2.13.0}
rm -rf "$work/checkpoints"
mkdir -p "$work"
while read -r name requirement; do
    [ -x "$work/$name/bin/python" ] || python3 -m venv "$work/$name"
    "$work/$name/bin/pip" install -q "$torch" numpy "$requirement"
    # It may be built for another torch, and nothing here needs it.
    "$work/$name/bin/pip" uninstall -q -y torchvision
    "$work/$name/bin/python" "$here/make_checkpoints.py" "$name" "$work/checkpoints"
done <<LIST
dictionary_learning dictionary-learning==0.1.0
sparsify eai-sparsify==1.3.3
overcomplete overcomplete==0.3.0
saelens sae-lens==6.54.12
LIST
# The same numbers everywhere: one stream compresses what the cases share.
tar -C "$work/checkpoints" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . |
    xz -9e >"$here/checkpoints.tar.xz"
ls -l "$here/checkpoints.tar.xz"
