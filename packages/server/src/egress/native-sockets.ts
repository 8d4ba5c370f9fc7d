// Calls for sockets that Node has none for.
import { loadKoffi } from '@sandport/native/koffi';
import type { RelaySocket } from './relay-socket.ts';

type GetSocketOption = (fd: number, level: number, option: number, value: Buffer, length: Int32Array) => number;
type SetSocketOption = (fd: number, level: number, option: number, value: Int32Array, length: number) => number;
type OpenSocket = (domain: number, type: number, protocol: number) => number;
type Shutdown = (fd: number, how: number) => number;
type Control = (fd: number, request: number, value: Int32Array) => number;

/** asm-generic/ioctls.h, tcp(7) */
const SIOCOUTQ = 0x5411;
/** bits/socket.h, bits/socket_type.h */
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
/** netinet/in.h, tcp(7) */
const IPPROTO_TCP = 6;
const TCP_QUICKACK = 12;
const OFF = Int32Array.of(0);

interface SocketCalls {
  readonly socket: OpenSocket;
  readonly getsockopt: GetSocketOption;
  readonly setsockopt: SetSocketOption;
  readonly shutdown: Shutdown;
  readonly ioctl: Control;
}

let functions: SocketCalls | undefined;

/** @throws Error when this platform has no addon for foreign functions */
export function nativeSockets(): SocketCalls {
  functions ??= load();
  return functions;
}

function load(): SocketCalls {
  const library = loadKoffi().load(null);
  return {
    getsockopt: library.func(
      'int getsockopt(int fd, int level, int option, _Inout_ void *value, _Inout_ uint32_t *length)',
    ),
    setsockopt: library.func('int setsockopt(int fd, int level, int option, const void *value, uint32_t length)'),
    socket: library.func('int socket(int domain, int type, int protocol)'),
    shutdown: library.func('int shutdown(int fd, int how)'),
    ioctl: library.func('int ioctl(int fd, unsigned long request, _Inout_ int *value)'),
  };
}

/** Negative when it has none any more. */
export function descriptorOf(socket: RelaySocket): number {
  const { _handle: handle, fd } = socket as { _handle?: { fd: number } | null; fd?: number };
  return handle?.fd ?? fd ?? -1;
}

/** Bytes that were written and that the other end has not acknowledged. */
export function unacknowledgedBytes(socket: RelaySocket): number {
  const fd = descriptorOf(socket);
  if (fd < 0) return 0;
  const inKernel = Int32Array.of(0);
  const known = nativeSockets().ioctl(fd, SIOCOUTQ, inKernel) === 0;
  return socket.writableLength + (known ? inKernel[0]! : 0);
}

/** A TCP socket for IPv4 that puts off acknowledging until something is sent. Negative when there is none to be had. */
export function openSocket(): number {
  const { socket, setsockopt } = nativeSockets();
  const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  // Without it the connection works all the same.
  if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, OFF, OFF.byteLength);
  return fd;
}
