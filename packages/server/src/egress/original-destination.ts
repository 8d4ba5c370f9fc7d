// Where a connection that the packet filter redirected was going to.
import type { LightSocket } from './light-socket.ts';
import { nativeSockets, readAddress, SOCKADDR_IN_BYTES } from './native-sockets.ts';

export interface Destination {
  /** In dotted form. */
  readonly address: string;
  readonly port: number;
}

/** linux/netfilter_ipv4.h */
const SOL_IP = 0;
const SO_ORIGINAL_DST = 80;

/** @throws Error when this platform has no addon for foreign functions */
export function openOriginalDestination(): (socket: LightSocket) => Destination | undefined {
  const { getsockopt } = nativeSockets();
  const value = Buffer.alloc(SOCKADDR_IN_BYTES);
  const length = new Int32Array(1);
  return ({ fd }) => {
    length[0] = value.length;
    if (fd < 0 || getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, value, length) !== 0) return undefined;
    return { address: readAddress(value), port: value.readUInt16BE(2) };
  };
}
