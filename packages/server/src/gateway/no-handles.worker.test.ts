// The gateway on a Node that does not give its handles away.

import assert from 'node:assert/strict';
import { request } from 'node:https';
import { it } from 'node:test';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { HttpOrigin } from './testing/origin.ts';
import { RawClient } from './testing/raw-client.ts';

const missing = {
  'handles cannot be had': 'delete(process.binding)',
  'handles can be had and TLS on them cannot':
    'const{binding}=process;process.binding=(name)=>{if(name===`tls_wrap`)throw(Error(name));return(binding(name))}',
};

for (const [what, code] of Object.entries(missing))
  it(`serves HTTP/1.1 and TLS on ordinary sockets where ${what}`, async () => {
    await using origin = await HttpOrigin.start((_, response) => response.end('hello'));
    const route = { sandboxId: 'abc', generation: 'g1', address: origin.address, access: { kind: 'public' } } as const;
    const before = process.env.NODE_OPTIONS;
    process.env.NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(code)};console.log(\`no-handles\`)`;
    await using control = await FakeControl.start([route]).finally(() => {
      if (before === undefined) delete process.env.NODE_OPTIONS;
      else process.env.NODE_OPTIONS = before;
    });
    assert.match(control.output, /no-handles/);
    const host = `${origin.port}-abc.${DOMAIN}`;

    using client = new RawClient(control.port);
    for (let i = 0; i < 2; i++) {
      client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.expect(/^HTTP\/1\.1 200 [\s\S]*hello/);
    }

    const answer = Promise.withResolvers<number | undefined>();
    const options = { host: '127.0.0.1', port: control.port, servername: host, headers: { host } };
    request({ ...options, agent: false, rejectUnauthorized: false }, (response) => {
      response.resume().on('end', () => answer.resolve(response.statusCode));
    })
      .on('error', answer.reject)
      .end();
    assert.equal(await answer.promise, 200);
  });
