// Many sandboxes at once, each its own.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

/** What there are many of, slots, disks and routes, is the same under either; under gVisor each sandbox takes thrice as long. */
const COUNTS = { runc: 50, runsc: 25 };
const CREATE_MS = 180_000;
/** Answers every request with the content of a file; without what Python loads for its own server, which is most of that one's start. */
const SERVER = `
import _socket
content = open("id", "rb").read()
listener = _socket.socket()
listener.bind(("0.0.0.0", 3000))
listener.listen(16)
while True:
    connection = _socket.socket(fileno=listener._accept()[0])
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s" % (len(content), content))
    connection.close()
`;

for (const runtime of runtimes) {
  const count = COUNTS[runtime];
  describe(`many under ${runtime}`, () => {
    test(`${count} sandboxes created at once answer on their own URL with their own content, and end`, async () => {
      await using server = await SandportServer.start(runtime);
      const sandboxes = await Promise.all(
        Array.from({ length: count }, () =>
          Sandbox.create({ ...server.options, requestTimeoutMs: CREATE_MS, timeoutMs: 600_000 }),
        ),
      );
      assert.equal(new Set(sandboxes.map(({ sandboxId }) => sandboxId)).size, count);
      // A few at a time: what is tested is who answers, not how a small machine bears many shells at once.
      await inTurns(sandboxes, 8, async (sandbox) => {
        await sandbox.files.write('id', sandbox.sandboxId);
        await sandbox.commands.run(`python3 -ISc '${SERVER}'`, { background: true, timeoutMs: 0 });
      });
      for (let round = 0; round < 3; round++) {
        await inTurns(sandboxes, 25, async (sandbox) => {
          const answer = await waitFor('an answer', async () => {
            const response = await fetch(`https://${sandbox.getHost(3000)}/id`);
            return response.ok ? (await response.text()).trim() : undefined;
          });
          assert.equal(answer, sandbox.sandboxId, 'each answers for itself');
        });
      }
      await Promise.all(sandboxes.map((sandbox) => sandbox.kill()));
      for (const sandbox of sandboxes) {
        const response = await fetch(`https://${sandbox.getHost(3000)}/id`);
        assert.equal(response.status, 502);
        await response.body?.cancel();
      }
      assert.deepEqual(await Sandbox.list(server.options).nextItems(), []);
      assert.deepEqual(await server.stop(), []);
    });
  });
}

async function inTurns<T>(items: readonly T[], width: number, each: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await each(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
