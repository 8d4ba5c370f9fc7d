// A sandbox that reaches nothing outside, and is reached all the same.
import { Sandbox } from 'sandport';

const outside = process.env.OUTSIDE_URL ?? 'https://example.com';

const sandbox = await Sandbox.create({ allowInternetAccess: false });
try {
  const started = Date.now();
  const attempt = await sandbox.commands.run(
    `curl --silent --show-error --max-time 10 ${outside} 2>&1 || echo "exit $?"`,
  );
  console.log(`$ curl ${outside}\n${attempt.stdout}(after ${Date.now() - started} ms)`);
  if (!/exit [1-9]/.test(attempt.stdout)) throw new Error('the internet was reached');

  await sandbox.commands.run('python -m http.server 3000', { background: true });
  const url = `https://${sandbox.getHost(3000)}`;
  console.log(`${url} answers ${await open(url)}`);
} finally {
  await sandbox.kill();
}

/** Asks until the server has bound its port. */
async function open(url: string): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const response = await fetch(url);
    if (response.ok) return response.status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} did not answer`);
}
