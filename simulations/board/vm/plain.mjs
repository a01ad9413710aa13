// Runs FOLDER/main.py on the wasm machine with FOLDER as its current directory and import path.
// Usage: node plain.mjs MICROPYTHON_MJS FOLDER. Exits 1 after a traceback.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [module, folder] = process.argv.slice(2);
const { loadMicroPython } = await import(pathToFileURL(module).href);
const vm = await loadMicroPython({ heapsize: 1 << 20, linebuffer: true, stdout: (line) => fs.writeSync(1, line + "\n") });

function copy(from, to) {
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const source = path.join(from, entry.name), target = `${to}/${entry.name}`;
    if (entry.isDirectory()) { vm.FS.mkdir(target); copy(source, target); }
    else vm.FS.writeFile(target, fs.readFileSync(source));
  }
}
vm.FS.mkdir("/flash");
copy(folder, "/flash");
try {
  vm.runPython("import os, sys; os.chdir('/flash'); sys.path[0:0] = ['/flash', '/flash/lib']\nimport main");
} catch (error) {
  fs.writeSync(1, String(error.message).slice(0, 20000) + "\n");
  process.exit(1);
}
