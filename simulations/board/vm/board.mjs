// The wasm machine's side of the pipe to the virtual board's parent.
// Usage: node board.mjs MICROPYTHON_MJS RUNTIME_FOLDER real|virtual HEAP_BYTES REQUEST_FD REPLY_FD.
// Python's memory is collected only when control is here, hence the step loop.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [module, folder, clock, heapBytes, requestFd, replyFd] = process.argv.slice(2);
const REQUEST_FD = Number(requestFd), REPLY_FD = Number(replyFd);
const CONSOLE = 1, REQUEST_HEADER = 8, TICKS_MASK = 0x3fffffff;

// The npm build does not export its memory: take it when the module is instantiated.
let memory;
const instantiate = WebAssembly.instantiate;
WebAssembly.instantiate = async (...args) => {
  const result = await instantiate.apply(WebAssembly, args);
  memory = Object.values((result.instance ?? result).exports).find((x) => x instanceof WebAssembly.Memory);
  return result;
};

let virtualUs = 0;
const startUs = Number(process.hrtime.bigint() / 1000n);
const nowUs = clock === "virtual" ? () => virtualUs : () => Number(process.hrtime.bigint() / 1000n) - startUs;
// The C scheduler's ticks come from Date.now: it has to be monotonic.
Date.now = () => Math.floor(nowUs() / 1000);

function writeAll(bytes) {
  for (let sent = 0; sent < bytes.length;) sent += fs.writeSync(REQUEST_FD, bytes, sent, bytes.length - sent);
}

function print(data) {
  const frame = Buffer.alloc(REQUEST_HEADER + data.length);
  frame.writeUInt32LE(frame.length, 0);
  frame[4] = CONSOLE;
  Buffer.from(data).copy(frame, REQUEST_HEADER);
  writeAll(frame);
}

const reply = Buffer.alloc(65536);
function call(requestAddress, requestLength, replyAddress) {
  writeAll(new Uint8Array(memory.buffer, requestAddress, requestLength));
  let got = 0, need = 16;
  while (got < need) {
    const n = fs.readSync(REPLY_FD, reply, got, reply.length - got);
    if (n === 0) process.exit(0);
    got += n;
    if (got >= 16) need = reply.readUInt32LE(0);
  }
  virtualUs = Number(reply.readBigUInt64LE(8));
  new Uint8Array(memory.buffer, replyAddress, need).set(reply.subarray(0, need));
}

const { loadMicroPython } = await import(pathToFileURL(module).href);
const vm = await loadMicroPython({ heapsize: Number(heapBytes), linebuffer: false, stdout: print });
vm.registerJsModule("vbhost", {
  call,
  ticks_us: () => nowUs() % (TICKS_MASK + 1),
  ticks_ms: () => Math.floor(nowUs() / 1000) % (TICKS_MASK + 1),
});
for (const name of fs.readdirSync(folder)) {
  if (/\.mpy$/.test(name)) vm.FS.writeFile("/" + name, fs.readFileSync(path.join(folder, name)));
}
try {
  vm.runPython("import board_boot\nstep = board_boot.step\nboard_boot.boot()");
  const step = vm.globals.get("step");
  while (step());
} catch (error) {
  print(Buffer.from("\nmachine stopped: " + String(error.message ?? error).slice(0, 4000) + "\n"));
  process.exit(1);
}
