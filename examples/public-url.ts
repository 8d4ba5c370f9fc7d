// A server in a sandbox, opened through its public URL.
import { Sandbox } from 'sandport';

const sandbox = await Sandbox.create();
try {
  // The leftmost part of the host name is the port.
  const host = sandbox.getHost(3000);
  const server = await sandbox.commands.run('python -m http.server 3000', { background: true });
  console.log(`https://${host}`);

  const page = await open(`https://${host}`);
  console.log(page);
  if (!page.includes('Directory listing')) throw new Error('this is not the directory listing');

  await server.kill();
} finally {
  await sandbox.kill();
}

/** Asks until the server has bound its port. */
async function open(url: string): Promise<string> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const response = await fetch(url);
    if (response.ok) return response.text();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} did not answer`);
}
