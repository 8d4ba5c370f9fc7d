// Calls for sockets that Node has none for.
import { loadKoffi } from '@sandport/native/koffi';
import type { RelaySocket } from './relay-socket.ts';

type GetSocketOption = (fd: number, level: number, option: number, value: Buffer, length: Int32Array) => number;
type Control = (fd: number, request: number, value: Int32Array) => number;

/** asm-generic/ioctls.h, tcp(7) */
const SIOCOUTQ = 0x5411;

let functions: { readonly getsockopt: GetSocketOption; readonly ioctl: Control } | undefined;

/** @throws Error when this platform has no addon for foreign functions */
export function nativeSockets(): NonNullable<typeof functions> {
  functions ??= load();
  return functions;
}

function load(): NonNullable<typeof functions> {
  const library = loadKoffi().load(null);
  return {
    getsockopt: library.func(
      'int getsockopt(int fd, int level, int option, _Inout_ void *value, _Inout_ uint32_t *length)',
    ),
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
