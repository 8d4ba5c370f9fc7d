// The head of a response as the client gets it: runs of the original bytes without what belonged to the other hop.

import { ACCESS_COOKIE } from '../access/access-cookie.ts';
import { narrowSetCookie } from '../access/narrow-set-cookie.ts';
import { fromMasked, type MaskedOrigin } from '../routing/masked-origin.ts';
import { containsIgnoringCase } from './connection-options.ts';
import { Kind } from './field-kinds.ts';
import { equalsIgnoringCase } from './field-table.ts';
import { Framing } from './framing.ts';
import type { OutBuffer } from './out-buffer.ts';
import type { ResponseHead } from './response-head.ts';

/** Room for the lines that are added. */
export const RESPONSE_MARGIN = 128;

/**
 * Writes the head.
 *
 * @param chunked whether the body goes on in the chunks it came in
 * @param connection the value of Connection towards the client; '' for none
 * @param masked where redirects are translated
 */
export function writeResponseHead(
  out: OutBuffer,
  head: ResponseHead,
  chunked: boolean,
  connection: string,
  masked?: MaskedOrigin,
): void {
  const { buf, fields } = head;
  const bodyless = head.status < 200 || head.status === 204;
  if (head.minor !== 1) out.text('HTTP/1.1 ');
  let runStart = head.minor === 1 ? head.start : head.statusStart;
  let runEnd = head.statusLineEnd;
  for (let i = 0; i < fields.count; i++) {
    const kind = fields.kind(i);
    let keep: boolean;
    switch (kind) {
      case Kind.other:
        keep = !head.connection.ends(buf, fields, i) && (masked === undefined || !isLocation(head, i));
        break;
      case Kind.transferEncoding:
        // With a response to HEAD it tells what GET would get; with 1xx and 204 it must not be sent.
        keep = !bodyless && (chunked || head.framing === Framing.none);
        break;
      case Kind.contentLength:
        keep = !bodyless;
        break;
      case Kind.setCookie:
        keep = isNarrow(buf, fields.valueStart(i), fields.valueEnd(i));
        break;
      case Kind.upgrade:
        keep = head.status === 101 || head.status === 426;
        break;
      case Kind.connection:
      case Kind.keepAlive:
      case Kind.drop:
        keep = false;
        break;
      default:
        keep = true;
    }
    if (!keep) {
      const line = changedLine(head, i, masked);
      if (line === undefined) continue;
      out.bytes(buf, runStart, runEnd);
      out.text(line);
      runStart = runEnd = i + 1 < fields.count ? fields.lineStart(i + 1) : head.end - 2;
      continue;
    }
    const lineStart = fields.lineStart(i);
    if (runEnd !== lineStart) {
      out.bytes(buf, runStart, runEnd);
      runStart = lineStart;
    }
    runEnd = i + 1 < fields.count ? fields.lineStart(i + 1) : head.end - 2;
  }
  out.bytes(buf, runStart, runEnd);
  if (connection !== '') out.text(`Connection: ${connection}\r\n`);
  out.text('\r\n');
}

function isLocation({ buf, fields }: ResponseHead, index: number): boolean {
  return equalsIgnoringCase(buf, fields.lineStart(index), fields.nameEnd(index), 'location');
}

/** What stands in for a line that cannot stay; undefined for nothing. */
function changedLine(head: ResponseHead, index: number, masked: MaskedOrigin | undefined): string | undefined {
  const { buf, fields } = head;
  const value = () => buf.toString('latin1', fields.valueStart(index), fields.valueEnd(index));
  if (fields.kind(index) === Kind.setCookie) {
    const narrow = narrowSetCookie(value());
    return narrow === undefined ? undefined : `Set-Cookie: ${narrow}\r\n`;
  }
  if (masked === undefined || !isLocation(head, index)) return undefined;
  return `Location: ${fromMasked(value(), masked.host, masked.origin)}\r\n`;
}

/** Whether the value of a Set-Cookie header at [start, end) can go on as it is. */
function isNarrow(buf: Buffer, start: number, end: number): boolean {
  return !containsIgnoringCase(buf, start, end, 'domain') && !containsIgnoringCase(buf, start, end, ACCESS_COOKIE_NAME);
}

const ACCESS_COOKIE_NAME = ACCESS_COOKIE.toLowerCase();
