#!/usr/bin/env bash
# Builds the binding of @tensorflow/tfjs-node against the TensorFlow that pip installed, on Linux.
#
#   build-tfjs-node.sh FOLDER_OF_TFJS_NODE [PYTHON]
#
# Needs g++ and Node's headers (node-gyp's `--nodedir`; by default beside the running Node).
set -euo pipefail

package=$(cd "$1" && pwd)
python=${2:-python3}
# Found without importing it, which takes a while.
library=$("$python" -c 'import importlib.util as u; print(u.find_spec("tensorflow").submodule_search_locations[0])')
include="$library/include"
node=$(dirname "$(dirname "$(command -v node)")")/include/node
[ -f "$node/node_api.h" ] || { echo "there are no headers of Node in $node" >&2; exit 1; }

# tfjs-node looks for its binding in the folder of the newest of these that Node supports.
napi=$(node -p 'Math.min(8, Number(process.versions.napi))')
out="$package/lib/napi-v$napi"
mkdir -p "$out"
g++ -std=c++17 -O2 -shared -fPIC -DNAPI_VERSION="$napi" -DBUILDING_NODE_EXTENSION \
  -I"$node" -I"$include" -I"$package" \
  "$package/binding/tfjs_backend.cc" "$package/binding/tfjs_binding.cc" \
  "$library/libtensorflow_cc.so.2" "$library/libtensorflow_framework.so.2" \
  -Wl,-rpath,"$library" -o "$out/tfjs_binding.node"
echo "$out/tfjs_binding.node"
