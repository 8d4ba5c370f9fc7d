// The head of a request as the server in the sandbox gets it: runs of the original bytes, and the lines that change.

import { FORWARDED_HOST } from '../forwarded.ts';
import { Kind } from './field-kinds.ts';
import { Framing } from './framing.ts';
import type { OutBuffer } from './out-buffer.ts';
import type { RequestHead } from './request-head.ts';

/** Room for the lines that are added, without the incoming and the outgoing host name. */
export const REQUEST_MARGIN = 512;

/**
 * Writes the head.
 *
 * @param forwardedLines what the server is told of who asks, up to the host
 * @param host what the server shall see as Host instead of the client's own
 * @param publicHost what it is told that the client asked for; the request's own host when left out
 */
export function writeRequestHead(
  out: OutBuffer,
  head: RequestHead,
  forwardedLines: string,
  host: string | undefined,
  publicHost?: string,
): void {
  const { buf, fields, connection } = head;
  let runStart: number;
  let runEnd: number;
  if (head.plainLine) {
    runStart = head.start;
    runEnd = fields.lineStart(0);
  } else {
    out.bytes(buf, head.start, head.methodEnd);
    out.text(head.needsSlash ? ' /' : ' ');
    out.bytes(buf, head.targetStart, head.targetEnd);
    out.text(' HTTP/1.1\r\n');
    runStart = runEnd = fields.lineStart(0);
  }
  for (let i = 0; i < fields.count; i++) {
    const kind = fields.kind(i);
    const keep =
      kind === Kind.other || kind === Kind.setCookie
        ? !connection.ends(buf, fields, i)
        : kind === Kind.host
          ? host === undefined
          : kind === Kind.contentLength || kind === Kind.transferEncoding || (kind === Kind.upgrade && head.isUpgrade);
    const lineStart = fields.lineStart(i);
    const lineEnd = i + 1 < fields.count ? fields.lineStart(i + 1) : runEndOfLast(head);
    if (keep) {
      if (runEnd !== lineStart) {
        out.bytes(buf, runStart, runEnd);
        runStart = lineStart;
      }
      runEnd = lineEnd;
    } else if (kind === Kind.host) {
      out.bytes(buf, runStart, runEnd);
      out.text(`Host: ${host}\r\n`);
      runStart = runEnd = lineEnd;
    }
  }
  out.bytes(buf, runStart, runEnd);
  if (head.isUpgrade) out.text('Connection: Upgrade\r\n');
  if (head.acceptsTrailers) out.text('TE: trailers\r\n');
  out.text(forwardedLines);
  if (publicHost === undefined) {
    out.bytes(buf, head.hostStart, head.hostEnd);
    out.text(FORWARDED_HOST);
    out.bytes(buf, head.hostStart, head.hostEnd);
  } else {
    out.text(publicHost + FORWARDED_HOST + publicHost);
  }
  out.text('\r\n\r\n');
}

function runEndOfLast(head: RequestHead): number {
  return head.end - 2;
}

/** Whether the request may be sent a second time without doing its work twice, as far as a stranger can tell. */
export function isRepeatable(head: RequestHead): boolean {
  if (head.framing !== Framing.none || head.isUpgrade) return false;
  if (head.isHead) return true;
  return head.methodEnd - head.start === 3 && head.buf.toString('latin1', head.start, head.methodEnd) === 'GET';
}
