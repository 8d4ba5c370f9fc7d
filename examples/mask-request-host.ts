// A server that insists on the host name "localhost" gets it, whatever the public host name is.
import { Sandbox } from 'sandport';

// ${PORT} is replaced by the requested port: single quotes, so that JavaScript leaves it alone.
const sandbox = await Sandbox.create({ network: { maskRequestHost: 'localhost:${PORT}' } });
try {
  const program = `require('http').createServer((request, response) => response.end(request.headers.host)).listen(3000)`;
  await sandbox.commands.run(`node -e "${program}"`, { background: true });

  const seen = await open(`https://${sandbox.getHost(3000)}`);
  console.log(`asked for ${sandbox.getHost(3000)}, the server saw ${seen}`);
  if (seen !== 'localhost:3000') throw new Error('the host was not masked');
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
