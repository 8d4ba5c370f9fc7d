// Routes of the agent that belong to the control plane: never reachable through a public URL.

const RESERVED = new Set(['/init', '/freeze', '/unfreeze', '/collapse', '/fsfreeze', '/fsthaw', '/upgrade', '/tunnel']);

/** Whether a request target of the agent's port, in whatever spelling, names a control route. */
export function isControlRoute(target: string): boolean {
  return RESERVED.has(cleanPath(target).toLowerCase());
}

/** The path of a target, decoded once and with empty, `.` and `..` segments resolved, as a server would read it. */
export function cleanPath(target: string): string {
  const segments: string[] = [];
  // URL parsers of browsers and servers alike read a backslash as a slash.
  for (const segment of decodePath(target).replaceAll('\\', '/').split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return `/${segments.join('/')}`;
}

/** The path of a target without its query, percent-decoded once. */
export function decodePath(target: string): string {
  const query = target.indexOf('?');
  const raw = query === -1 ? target : target.slice(0, query);
  return raw.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
