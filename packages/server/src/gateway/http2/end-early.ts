// The end of a stream whose answer is complete while its client still sends.
import { constants, type ServerHttp2Stream } from 'node:http2';

/** How long the client may go on. What it sends meanwhile is dropped. */
const CLIENT_MS = 1000;

/**
 * Tells the client to stop sending (RFC 9113, section 8.1), unless it ends by itself first.
 *
 * Not as soon as the answer is written: the reset would overtake the frame that ends the answer where that still waits
 * for the socket, and clients take an answer without it for broken off. And a stream that is closed while it writes is
 * never destroyed if its client goes away meanwhile.
 */
export function endEarly(stream: ServerHttp2Stream): void {
  stream.resume();
  if (stream.writableFinished) closeSoon(stream);
  else stream.once('finish', () => closeSoon(stream));
}

function closeSoon(stream: ServerHttp2Stream): void {
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), CLIENT_MS);
  stream.once('close', () => clearTimeout(timer));
}
