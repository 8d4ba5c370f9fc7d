// A server may answer and hang up while its client still sends. Node destroys a socket whose write has failed, and with it
// what has arrived and is not read yet: an answer would be lost, and the client would see a reset in its place.
import type { Socket } from 'node:net';

type Done = (error?: Error | null) => void;

/** For what has arrived to be read; whoever is to have it may be slow. */
const LONGEST_MS = 60_000;

/** From now on what cannot be written is dropped, and the socket ends as its reading does, a minute later at most. */
export function readPastWriteErrors(socket: Socket): void {
  const { _write: write, _writev: writev, _final: final } = socket;
  let isDeaf = false;
  const forgiving =
    (done: Done): Done =>
    (error) => {
      if (error && !isDeaf && !socket.destroyed) {
        isDeaf = true;
        const timer = setTimeout(() => socket.destroy(), LONGEST_MS);
        socket.once('close', () => clearTimeout(timer));
      }
      done();
    };
  socket._write = (chunk, encoding, done) =>
    isDeaf ? done() : write.call(socket, chunk, encoding, forgiving(done as Done));
  if (writev !== undefined)
    socket._writev = (chunks, done) => (isDeaf ? done() : writev.call(socket, chunks, forgiving(done as Done)));
  socket._final = (done) => final.call(socket, forgiving(done as Done));
}
