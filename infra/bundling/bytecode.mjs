// Byte code for a folder of Python files, made by the Python that will run them.
//
// `node bytecode.mjs PACKAGE FOLDER`: PACKAGE is a Pyodide of package.json, CPython itself compiled
// for Node.js, so the machine needs no Python of that version. The files are seen where Lambda has
// them, below /var/task: that is what tracebacks will say.
const [, , name, folder] = process.argv;
const { loadPyodide } = await import(`${name}/pyodide.mjs`);
const python = await loadPyodide({ env: { PYTHONHASHSEED: "0" } });
python.FS.mkdirTree("/var/task");
python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, "/var/task");
const compiled = python.runPython(`
import compileall
from py_compile import PycInvalidationMode

# Nothing looks at a time or at the source again: /var/task is read-only, and the same for ever.
compileall.compile_dir("/var/task", quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
`);
process.exit(compiled ? 0 : 1);
