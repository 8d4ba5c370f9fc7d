// A program that is linked against musl, made without a compiler: no distribution of glibc ships one. It is the smallest
// dynamically linked ELF file there can be (elf(5)): it calls puts and exit of the C library.
const LOADER = '/lib/ld-musl-x86_64.so.1';
const BASE = 0x400000;
const [HEADER, PROGRAM_HEADER, SYMBOL, RELOCATION, DYNAMIC] = [64, 56, 24, 24, 16];
const GLOB_DAT = 6;
const NAMES = '\0libc.so\0puts\0exit\0';

/** The program's bytes, for x86-64: it prints `line` and ends with 0. */
export function muslProgram(line: string): Buffer {
  const file = Buffer.alloc(1024);
  const place = layout({
    interpreter: LOADER.length + 1,
    names: NAMES.length,
    symbols: 3 * SYMBOL,
    hash: 6 * 4,
    relocations: 2 * RELOCATION,
    dynamic: 10 * DYNAMIC,
    pointers: 2 * 8,
    code: 32,
    text: line.length + 1,
  });
  file.write(LOADER, place.interpreter);
  file.write(NAMES, place.names, 'latin1');
  for (const [index, name] of ['puts', 'exit'].entries()) {
    const at = place.symbols + (index + 1) * SYMBOL;
    file.writeUInt32LE(NAMES.indexOf(name), at);
    file[at + 4] = 0x12; // a global function, defined elsewhere
    const relocation = place.relocations + index * RELOCATION;
    file.writeBigUInt64LE(BigInt(BASE + place.pointers + index * 8), relocation);
    file.writeBigUInt64LE((BigInt(index + 1) << 32n) | BigInt(GLOB_DAT), relocation + 8);
  }
  // One bucket with a chain of three entries, as the first of which none is found.
  [1, 3, 0, 0, 0, 0].forEach((word, index) => {
    file.writeUInt32LE(word, place.hash + index * 4);
  });
  const entries = [
    [1, NAMES.indexOf('libc.so')],
    [4, BASE + place.hash],
    [5, BASE + place.names],
    [6, BASE + place.symbols],
    [10, NAMES.length],
    [11, SYMBOL],
    [7, BASE + place.relocations],
    [8, 2 * RELOCATION],
    [9, RELOCATION],
    [0, 0],
  ];
  for (const [index, [tag, value]] of entries.entries()) {
    file.writeBigUInt64LE(BigInt(tag!), place.dynamic + index * DYNAMIC);
    file.writeBigUInt64LE(BigInt(value!), place.dynamic + index * DYNAMIC + 8);
  }
  writeCode(file, place.code, place.text, place.pointers);
  file.write(line, place.text);
  writeHeaders(file, place);
  return file;
}

type Section = 'interpreter' | 'names' | 'symbols' | 'hash' | 'relocations' | 'dynamic' | 'pointers' | 'code' | 'text';
type Place = Record<Section, number>;

/** Offsets, one after the other behind the headers, each a multiple of 16. */
function layout(sizes: Record<Section, number>): Place {
  let at = HEADER + 3 * PROGRAM_HEADER;
  const place = {} as Place;
  for (const [name, size] of Object.entries(sizes) as [Section, number][]) {
    at = Math.ceil(at / 16) * 16;
    place[name] = at;
    at += size;
  }
  return place;
}

/** lea rdi, [text]; call [puts]; xor edi, edi; call [exit] */
function writeCode(file: Buffer, code: number, text: number, pointers: number): void {
  file.write('488d3d00000000ff150000000031ffff1500000000', code, 'hex');
  file.writeInt32LE(text - (code + 7), code + 3);
  file.writeInt32LE(pointers - (code + 13), code + 9);
  file.writeInt32LE(pointers + 8 - (code + 21), code + 17);
}

function writeHeaders(file: Buffer, place: Place): void {
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(2, 16); // executable
  file.writeUInt16LE(62, 18); // x86-64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(BASE + place.code), 24);
  file.writeBigUInt64LE(BigInt(HEADER), 32);
  file.writeUInt16LE(HEADER, 52);
  file.writeUInt16LE(PROGRAM_HEADER, 54);
  file.writeUInt16LE(3, 56);
  const segments = [
    { type: 3, at: place.interpreter, size: LOADER.length + 1 },
    { type: 1, at: 0, size: file.length },
    { type: 2, at: place.dynamic, size: 10 * DYNAMIC },
  ];
  for (const [index, { type, at, size }] of segments.entries()) {
    const header = HEADER + index * PROGRAM_HEADER;
    file.writeUInt32LE(type, header);
    file.writeUInt32LE(7, header + 4); // readable, writable and executable: there is one page
    file.writeBigUInt64LE(BigInt(at), header + 8);
    file.writeBigUInt64LE(BigInt(BASE + at), header + 16);
    file.writeBigUInt64LE(BigInt(BASE + at), header + 24);
    file.writeBigUInt64LE(BigInt(size), header + 32);
    file.writeBigUInt64LE(BigInt(size), header + 40);
    file.writeBigUInt64LE(type === 1 ? 4096n : 1n, header + 48);
  }
}
