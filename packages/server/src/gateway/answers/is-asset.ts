import type { RequestFacts } from '../routing/request-facts.ts';

/** What a tab or a frame shows, and what a program of a page asks for (Fetch Metadata, section 2.1). */
const NO_ASSETS = ['empty', 'document', 'iframe', 'frame', 'fencedframe', 'embed', 'object'];

/** Whether a browser asks for a part of a page: a script, a style, a picture, a font, a worker. */
export function isAsset(request: RequestFacts): boolean {
  const destination = request.header('sec-fetch-dest');
  return destination !== undefined && /^[a-z]+$/.test(destination) && !NO_ASSETS.includes(destination);
}
