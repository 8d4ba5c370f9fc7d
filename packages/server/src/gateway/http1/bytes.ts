// The alphabets of HTTP/1.1 as tables, so that one indexed read decides about a byte.

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const COLON = 0x3a;

const TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** 1 for a byte of a token (RFC 9110, section 5.6.2): method and header names. */
export const isTokenByte = new Uint8Array(256);
for (const char of TCHAR) isTokenByte[char.charCodeAt(0)] = 1;

/** 1 for a byte of a header value (RFC 9110, section 5.5): visible, space, tab, and 0x80 up. */
export const isValueByte = new Uint8Array(256);
isValueByte[TAB] = 1;
isValueByte.fill(1, 0x20, 0x7f);
isValueByte.fill(1, 0x80);

/** 1 for a byte of a request target: visible and 0x80 up, but no `#`, which starts a part that never travels. */
export const isTargetByte = new Uint8Array(256);
isTargetByte.fill(1, 0x21, 0x7f);
isTargetByte.fill(1, 0x80);
isTargetByte['#'.charCodeAt(0)] = 0;

/** The value of a hexadecimal digit, or 255. */
export const hexValue = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value++) {
  hexValue[value.toString(16).charCodeAt(0)] = value;
  hexValue[value.toString(16).toUpperCase().charCodeAt(0)] = value;
}

/**
 * Where a head that starts at or before `from` ends, by the first empty line; -1 when it is not there yet. Also finds
 * lines that end in a bare LF, which the parser then refuses, rather than waiting for a CR that never comes.
 */
export function findEmptyLine(buf: Uint8Array, from: number, end: number): number {
  let at = buf.indexOf(LF, from);
  while (at !== -1 && at < end) {
    if (at + 1 < end && buf[at + 1] === LF) return at + 2;
    if (at + 2 < end && buf[at + 1] === CR && buf[at + 2] === LF) return at + 3;
    at = buf.indexOf(LF, at + 1);
  }
  return -1;
}
