// What runs in the sandboxes that are paused: a web server that holds some memory which cannot be compressed.

export const PORT = 3000;

/** Arguments for `node`. */
export function holdingServer(megabytes: number): string[] {
  const program = `
    const held = require('node:crypto').randomBytes(${megabytes} * 1024 * 1024 + 1);
    require('node:http').createServer((request, response) => response.end('holds ' + held.length)).listen(${PORT});`;
  return ['-e', program.replaceAll(/\s+/g, ' ').trim()];
}
