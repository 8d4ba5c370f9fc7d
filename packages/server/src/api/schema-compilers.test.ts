import assert from 'node:assert/strict';
import { test } from 'node:test';
import Fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { Type } from 'typebox';
import { type Compilers, eagerCompilers, lazyCompilers } from './schema-compilers.ts';
import { type ApiOptions, createApi } from './server.ts';

/** One whose only route answers with the number of the request, as a schema has it. */
function appWith(compilers: Compilers): FastifyInstance {
  const app = Fastify();
  app.setValidatorCompiler(compilers.validator);
  app.setSerializerCompiler(compilers.serializer);
  const schema = {
    body: Type.Object({ number: Type.Integer() }),
    response: { 200: Type.Object({ number: Type.Integer() }) },
  };
  app.post<{ Body: { number: number } }>('/', { schema }, ({ body }) => ({ ...body, more: 'not told' }));
  return app;
}

test('requests are checked and answers written as by what is compiled at once, the first and the next', async () => {
  for (const compilers of [lazyCompilers, eagerCompilers]) {
    await using app = appWith(compilers);
    for (const number of ['1', 1, '2', 2]) {
      const answer = await app.inject({ method: 'POST', url: '/', payload: { number, other: true } });
      if (typeof number === 'number') assert.equal(answer.body, `{"number":${number}}`);
      else assert.deepEqual([answer.statusCode, answer.json().message], [400, 'body/number must be integer']);
    }
  }
});

test('the schemas of every route can be compiled', async () => {
  // No handler is called.
  await using app = await createApi({ logger: pino({ enabled: false }) } as unknown as ApiOptions, eagerCompilers);
  await app.ready();
});
