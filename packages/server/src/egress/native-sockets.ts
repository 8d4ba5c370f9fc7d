// The calls to the kernel that relayed connections are made of. Node makes them too, but with objects of its own for every
// connection and every event, which cost more than the calls.
import { loadKoffi } from '@sandport/native/koffi';

type Bytes = Buffer | Int32Array;

interface SocketCalls {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Buffer, length: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly accept4: (fd: number, address: Buffer, length: Int32Array, flags: number) => number;
  readonly connect: (fd: number, address: Buffer, length: number) => number;
  readonly getsockname: (fd: number, address: Buffer, length: Int32Array) => number;
  readonly getsockopt: (fd: number, level: number, option: number, value: Bytes, length: Int32Array) => number;
  readonly setsockopt: (fd: number, level: number, option: number, value: Bytes, length: number) => number;
  readonly read: (fd: number, into: Buffer, length: number) => number;
  readonly send: (fd: number, bytes: Buffer, length: number, flags: number) => number;
  readonly shutdown: (fd: number, how: number) => number;
  readonly close: (fd: number) => number;
  readonly ioctl: (fd: number, request: number, value: Int32Array) => number;
}

/** asm-generic/errno-base.h, asm-generic/errno.h */
export const Errno = { interrupted: 4, tryAgain: 11, connectionAborted: 103, inProgress: 115 } as const;
/** asm-generic/socket.h */
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
/** netinet/in.h, netinet/tcp.h */
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_QUICKACK = 12;
/** bits/socket.h, bits/socket_type.h */
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
export const ACCEPT_FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC;
/** asm-generic/ioctls.h, tcp(7) */
const SIOCOUTQ = 0x5411;
/** netinet/in.h */
export const SOCKADDR_IN_BYTES = 16;

const DOT = '.'.charCodeAt(0);
const ZERO = '0'.charCodeAt(0);

let calls: SocketCalls | undefined;

/** @throws Error when this platform has no addon for foreign functions */
export function nativeSockets(): SocketCalls {
  calls ??= load();
  return calls;
}

function load(): SocketCalls {
  const library = loadKoffi().load(null);
  return {
    socket: library.func('int socket(int domain, int type, int protocol)'),
    bind: library.func('int bind(int fd, const void *address, uint32_t length)'),
    listen: library.func('int listen(int fd, int backlog)'),
    accept4: library.func('int accept4(int fd, _Out_ void *address, _Inout_ uint32_t *length, int flags)'),
    connect: library.func('int connect(int fd, const void *address, uint32_t length)'),
    getsockname: library.func('int getsockname(int fd, _Out_ void *address, _Inout_ uint32_t *length)'),
    getsockopt: library.func(
      'int getsockopt(int fd, int level, int option, _Inout_ void *value, _Inout_ uint32_t *length)',
    ),
    setsockopt: library.func('int setsockopt(int fd, int level, int option, const void *value, uint32_t length)'),
    read: library.func('int64_t read(int fd, _Out_ void *into, size_t length)'),
    send: library.func('int64_t send(int fd, const void *bytes, size_t length, int flags)'),
    shutdown: library.func('int shutdown(int fd, int how)'),
    close: library.func('int close(int fd)'),
    ioctl: library.func('int ioctl(int fd, unsigned long request, _Inout_ int *value)'),
  };
}

/** Of the call before, which has failed. */
export function lastError(): number {
  return loadKoffi().errno();
}

/** Sets a whole number. Returns 0, or -1. */
export function setOption(fd: number, level: number, option: number, value: number): number {
  const cell = Int32Array.of(value);
  return nativeSockets().setsockopt(fd, level, option, cell, cell.byteLength);
}

/** A TCP socket for IPv4, not connected. Negative when there is none to be had. */
export function openSocket(): number {
  return nativeSockets().socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/** Writes an address in dotted form and a port to what the kernel takes for one. */
export function writeSocketAddress(into: Buffer, address: string, port: number): void {
  into.writeUInt16LE(AF_INET, 0);
  into.writeUInt16BE(port, 2);
  let part = 0;
  let at = 4;
  for (let index = 0; index < address.length; index++) {
    const code = address.charCodeAt(index);
    if (code === DOT) {
      into[at++] = part;
      part = 0;
    } else {
      part = 10 * part + code - ZERO;
    }
  }
  into[at] = part;
}

/** The address in dotted form. */
export function readAddress(from: Buffer): string {
  return `${from[4]}.${from[5]}.${from[6]}.${from[7]}`;
}

/** Bytes that were written to a connection and that the other end has not acknowledged. */
export function unacknowledgedBytes(fd: number): number {
  const inKernel = Int32Array.of(0);
  return nativeSockets().ioctl(fd, SIOCOUTQ, inKernel) === 0 ? inKernel[0]! : 0;
}
