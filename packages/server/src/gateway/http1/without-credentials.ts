// Takes out of a request for a private port what opened it, before its server sees the request.

import { withoutAccessCookie } from '../access/access-cookie.ts';
import { withoutAccessParameter } from '../access/access-parameter.ts';
import type { RequestHead } from './request-head.ts';

const COOKIE = 'cookie';

/** Has `head` read a copy without the gateway's cookie and parameter, where it has one of them. */
export function removeCredentials(head: RequestHead): void {
  const { buf, fields } = head;
  const path = head.path();
  const target = withoutAccessParameter(path);
  const cookies = head.values(COOKIE);
  if (target === path && cookies.every((value) => withoutAccessCookie(value) === value)) return;
  let text = `${head.method} ${target} HTTP/1.${head.minor}\r\n`;
  for (let i = 0; i < fields.count; i++) {
    const isCookie = fields.find(buf, COOKIE, i) === i;
    const end = i + 1 < fields.count ? fields.lineStart(i + 1) : head.end - 2;
    if (!isCookie) {
      text += buf.toString('latin1', fields.lineStart(i), end);
      continue;
    }
    const name = buf.toString('latin1', fields.lineStart(i), fields.nameEnd(i));
    const value = withoutAccessCookie(buf.toString('latin1', fields.valueStart(i), fields.valueEnd(i)));
    if (value !== '') text += `${name}: ${value}\r\n`;
  }
  const copy = Buffer.from(`${text}\r\n`, 'latin1');
  head.read(copy, 0, copy.length);
}
