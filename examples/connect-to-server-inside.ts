// Somebody else, who knows only the ID, connects to a sandbox and reaches the server that runs in it.
import { Sandbox } from 'sandport';

const created = await Sandbox.create();
try {
  await created.commands.run('mkdir -p site && echo "Hello from the inside" > site/index.html');
  const server = await created.commands.run('python -m http.server 8000 --directory site', { background: true });

  const sandbox = await Sandbox.connect(created.sandboxId);
  const url = `https://${sandbox.getHost(8000)}/index.html`;
  const answer = await open(url);
  console.log(`${url}\n${answer}`);
  if (answer !== 'Hello from the inside\n') throw new Error('this is not the page');

  const running = await sandbox.commands.list();
  console.log(running.map((command) => `${command.pid}  ${command.args.join(' ')}`).join('\n'));
  if (!running.some((command) => command.pid === server.pid)) throw new Error('the server is not listed');
  await sandbox.commands.kill(server.pid);
} finally {
  await created.kill();
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
