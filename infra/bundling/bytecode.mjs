// Compiles a folder of Python files to byte code, with the Python version that will run them.
//
// `node bytecode.mjs PACKAGE FOLDER`: PACKAGE is a Pyodide from package.json, which is CPython
// compiled for Node.js, so the machine needs no Python of that version. The folder is mounted at
// /var/task, as on Lambda, so that tracebacks show these paths.
const [, , name, folder] = process.argv;
const { loadPyodide } = await import(`${name}/pyodide.mjs`);
const python = await loadPyodide({ env: { PYTHONHASHSEED: "0" } });
python.FS.mkdirTree("/var/task");
python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, "/var/task");
const compiled = python.runPython(`
import compileall
from py_compile import PycInvalidationMode

# /var/task never changes, so Python need not compare the byte code with its source.
compileall.compile_dir("/var/task", quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
`);
process.exit(compiled ? 0 : 1);
