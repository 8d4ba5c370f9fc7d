// Has the kernel ask for a peer that is silent (tcp(7)), which may have gone without a word.
import {
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SOL_SOCKET,
  setOption,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
} from './native-sockets.ts';

/** Without a byte from the peer. */
const IDLE_SECONDS = 600;
/** Between questions that nobody answers, and after how many of them the connection is over. */
const INTERVAL_SECONDS = 1;
const QUESTIONS = 10;

/** A connection has it from its listener. */
export function probeForPeer(fd: number): void {
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_SECONDS);
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, INTERVAL_SECONDS);
  setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, QUESTIONS);
}
