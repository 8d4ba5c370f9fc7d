// Public URLs that answer only to those who have the sandbox's token.
import { Sandbox } from 'sandport';

const sandbox = await Sandbox.create({ network: { allowPublicTraffic: false } });
try {
  const token = sandbox.trafficAccessToken;
  if (!token) throw new Error('the sandbox has no traffic access token');
  await sandbox.commands.run('python -m http.server 3000', { background: true });
  const url = `https://${sandbox.getHost(3000)}`;

  const opened = await open(url, { 'e2b-traffic-access-token': token });
  console.log(`with the token: ${opened}`);

  const without = await fetch(url);
  console.log(`without the token: ${without.status} ${await without.text()}`);
  if (without.status !== 403) throw new Error('it answered without the token');

  const wrong = await fetch(url, { headers: { 'e2b-traffic-access-token': 'wrong' } });
  console.log(`with a wrong token: ${wrong.status}`);
  if (wrong.status !== 403) throw new Error('it answered to a wrong token');
} finally {
  await sandbox.kill();
}

/** Asks until the server has bound its port. */
async function open(url: string, headers: Record<string, string>): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const response = await fetch(url, { headers });
    if (response.ok) return response.status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} did not answer`);
}
