// Where a connection that the packet filter redirected was going to.
import { descriptorOf, nativeSockets } from './native-sockets.ts';
import type { RelaySocket } from './relay-socket.ts';

export interface Destination {
  /** In dotted form. */
  readonly address: string;
  readonly port: number;
}

/** linux/netfilter_ipv4.h */
const SOL_IP = 0;
const SO_ORIGINAL_DST = 80;
const SOCKADDR_IN_BYTES = 16;

/** @throws Error when this platform has no addon for foreign functions */
export function openOriginalDestination(): (socket: RelaySocket) => Destination | undefined {
  const { getsockopt } = nativeSockets();
  const value = Buffer.alloc(SOCKADDR_IN_BYTES);
  const length = new Int32Array(1);
  return (socket) => {
    const fd = descriptorOf(socket);
    length[0] = value.length;
    if (fd < 0 || getsockopt(fd, SOL_IP, SO_ORIGINAL_DST, value, length) !== 0) return undefined;
    return { address: `${value[4]}.${value[5]}.${value[6]}.${value[7]}`, port: value.readUInt16BE(2) };
  };
}
