// Changes requests that cannot go to their server as they came: of a private port, what opened it is taken out, and for a
// server under a masked name, the page's origin is translated.

import { withoutAccessCookie } from '../access/access-cookie.ts';
import { withoutAccessParameter } from '../access/access-parameter.ts';
import { toMasked } from '../routing/masked-origin.ts';
import type { Destination } from '../routing/route-table.ts';
import type { RequestHead } from './request-head.ts';

/** Has `head` read a changed copy, where there is something to change. */
export function alterRequest(head: RequestHead, { isPrivate, host, masksOrigin }: Destination): void {
  const { buf, fields } = head;
  const target = isPrivate ? withoutAccessParameter(head.path()) : head.path();
  let text = `${head.method} ${target} HTTP/1.${head.minor}\r\n`;
  let changed = target !== head.path();
  for (let i = 0; i < fields.count; i++) {
    const end = i + 1 < fields.count ? fields.lineStart(i + 1) : head.end - 2;
    const line = buf.toString('latin1', fields.lineStart(i), end);
    const name = buf.toString('latin1', fields.lineStart(i), fields.nameEnd(i));
    const value = buf.toString('latin1', fields.valueStart(i), fields.valueEnd(i));
    const lower = name.toLowerCase();
    let kept = value;
    if (isPrivate && lower === 'cookie') kept = withoutAccessCookie(value);
    else if (masksOrigin && (lower === 'origin' || lower === 'referer')) kept = toMasked(value, head.host, host!);
    if (kept === value) {
      text += line;
      continue;
    }
    changed = true;
    if (kept !== '') text += `${name}: ${kept}\r\n`;
  }
  if (!changed) return;
  const copy = Buffer.from(`${text}\r\n`, 'latin1');
  head.read(copy, 0, copy.length);
}
