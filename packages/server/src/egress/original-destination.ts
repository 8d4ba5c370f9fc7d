// Where a connection that the packet filter redirected was going to. Node has no call for this socket option.
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';

export interface Destination {
  /** In dotted form. */
  readonly address: string;
  readonly port: number;
}

type GetSocketOption = (fd: number, level: number, option: number, value: Buffer, length: Int32Array) => number;

interface Koffi {
  load(path: null): { func(prototype: string): GetSocketOption };
}

/** linux/netfilter_ipv4.h */
const SOL_IP = 0;
const SO_ORIGINAL_DST = 80;
const SOCKADDR_IN_BYTES = 16;

/** @throws Error when this platform has no addon for foreign functions */
export function openOriginalDestination(): (socket: Socket) => Destination | undefined {
  const addon: { exports: unknown } = { exports: {} };
  const platform = `linux-${process.arch}`;
  const main = createRequire(import.meta.url).resolve(`@koromix/koffi-${platform}`);
  process.dlopen(addon, join(dirname(main), platform.replace('-', '_'), 'koffi.node'));
  const getsockopt = (addon.exports as Koffi)
    .load(null)
    .func('int getsockopt(int fd, int level, int option, _Inout_ void *value, _Inout_ uint32_t *length)');
  return (socket) => {
    const fd = (socket as Socket & { _handle?: { fd: number } | null })._handle?.fd;
    if (fd === undefined || fd < 0) return undefined;
    const value = Buffer.alloc(SOCKADDR_IN_BYTES);
    if (getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, value, Int32Array.of(value.length)) !== 0) return undefined;
    return { address: value.subarray(4, 8).join('.'), port: value.readUInt16BE(2) };
  };
}
