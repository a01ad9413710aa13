// The wasm machine's side of the pipe to the virtual board's parent.
// Usage: node board.mjs MICROPYTHON_MJS RUNTIME_FOLDER real|virtual HEAP_BYTES REQUEST_FD REPLY_FD [ROMFS].
// Python's memory is collected only when control is here, hence the step loop.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [module, folder, clock, heapBytes, requestFd, replyFd, romfs] = process.argv.slice(2);
const REQUEST_FD = Number(requestFd), REPLY_FD = Number(replyFd);
const CONSOLE = 1, POLL = 2, CALL = 9, REQUEST_HEADER = 8, REPLY_HEADER = 24, TICKS_MASK = 0x3fffffff;

// The npm build does not export its memory: take it when the module is instantiated.
let memory;
const instantiate = WebAssembly.instantiate;
WebAssembly.instantiate = async (...args) => {
  const result = await instantiate.apply(WebAssembly, args);
  memory = Object.values((result.instance ?? result).exports).find((x) => x instanceof WebAssembly.Memory);
  return result;
};

// Virtual time stands still between requests but for what each look at the clock costs, so that a program that waits
// by looking at it gets on. The parent is told with the next request: octets 5-7.
const LOOK_US = 2, MOST_AHEAD_US = 0xffffff, POLLIN = 1;
let virtualUs = 0, aheadUs = 0, idleUntilUs = 0;
function lookUs() {
  if (aheadUs + LOOK_US <= MOST_AHEAD_US) aheadUs += LOOK_US;
  return virtualUs + aheadUs;
}
const startUs = Number(process.hrtime.bigint() / 1000n);
const nowUs = clock === "virtual" ? lookUs : () => Number(process.hrtime.bigint() / 1000n) - startUs;
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

// A wait in which nothing can happen, as the last reply said, is over at once and without the parent: most of them are
// when a task only looks at the clock every few milliseconds. Not for writing, which a stream may be ready for.
function waitedAlone(request) {
  if (request[4] !== POLL) return false;
  for (let at = REQUEST_HEADER + 6; at < request.length; at += 3) if (request[at] !== POLLIN) return false;
  const body = new DataView(request.buffer, request.byteOffset + REQUEST_HEADER);
  const timeoutMs = body.getInt32(0, true), endUs = virtualUs + aheadUs + timeoutMs * 1000;
  if (timeoutMs < 0 || endUs >= idleUntilUs || endUs - virtualUs > MOST_AHEAD_US) return false;
  aheadUs = endUs - virtualUs;
  return true;
}

// The same with questions about the interface, which the firmware asks four times a second: a timer of the parent's
// changes the answer, or somebody outside, which the next reply tells by the lowest bit of idleUntilUs. They are CALLs
// whose JSON begins with one of these names.
const ASKED = ['["nic_status"', '["nic_addresses"'];
const answers = new Map();
let answersUntilUs = 0, answersOf = 0;
function question(request) {
  if (request[4] !== CALL) return null;
  const text = Buffer.from(request.subarray(REQUEST_HEADER)).toString("latin1");
  if (ASKED.some((name) => text.startsWith(name))) return text;
  if (text.startsWith('["nic_')) answers.clear();
  return null;
}

const reply = Buffer.alloc(65536);
function call(requestAddress, requestLength, replyAddress) {
  const request = new Uint8Array(memory.buffer, requestAddress, requestLength);
  if (clock === "virtual" && waitedAlone(request)) {
    reply.writeUInt32LE(REPLY_HEADER, 0);
    reply.writeInt32LE(0, 4);
    reply.writeBigUInt64LE(BigInt(virtualUs + aheadUs), 8);
    new Uint8Array(memory.buffer, replyAddress, REPLY_HEADER).set(reply.subarray(0, REPLY_HEADER));
    return;
  }
  const asked = clock === "virtual" ? question(request) : null;
  if (asked !== null && virtualUs + aheadUs < answersUntilUs && answers.has(asked)) {
    const known = answers.get(asked);
    known.writeBigUInt64LE(BigInt(virtualUs + aheadUs), 8);
    new Uint8Array(memory.buffer, replyAddress, known.length).set(known);
    return;
  }
  request[5] = aheadUs & 0xff;
  request[6] = (aheadUs >> 8) & 0xff;
  request[7] = aheadUs >> 16;
  writeAll(request);
  let got = 0, need = REPLY_HEADER;
  while (got < need) {
    const n = fs.readSync(REPLY_FD, reply, got, reply.length - got);
    if (n === 0) process.exit(0);
    got += n;
    if (got >= REPLY_HEADER) need = reply.readUInt32LE(0);
  }
  virtualUs = Number(reply.readBigUInt64LE(8));
  idleUntilUs = Number(reply.readBigUInt64LE(16));
  if (idleUntilUs % 2 !== answersOf) answers.clear();
  answersOf = idleUntilUs % 2;
  if (asked !== null) {
    if (virtualUs >= answersUntilUs) answers.clear();
    answersUntilUs = idleUntilUs;
    answers.set(asked, Buffer.from(reply.subarray(0, need)));
  }
  aheadUs = 0;
  new Uint8Array(memory.buffer, replyAddress, need).set(reply.subarray(0, need));
}

const { loadMicroPython } = await import(pathToFileURL(module).href);
const vm = await loadMicroPython({ heapsize: Number(heapBytes), linebuffer: false, stdout: print });
// The flash that code is executed from: memory of the machine, but not of its heap.
let romAddress = 0;
if (romfs) {
  const octets = fs.readFileSync(romfs);
  romAddress = vm._module._malloc(octets.length);
  new Uint8Array(memory.buffer, romAddress, octets.length).set(octets);
}
vm.registerJsModule("vbhost", {
  call,
  rom_address: () => romAddress,
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
