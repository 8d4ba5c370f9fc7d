// Answers one request of the Connect protocol (connectrpc.com/docs/protocol).
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connectCodes } from '@sandport/protocol/connect';
import { discardRest } from '../http/discard-rest.ts';
import { readBody, readMessages, readSingleMessage } from './body.ts';
import { readCall } from './call.ts';
import { acceptedTypes, type Codec, codecFor } from './codec.ts';
import { answerCompression, MIN_COMPRESSED_BYTES, requestCompression } from './compression.ts';
import { ConnectError } from './connect-error.ts';
import { isLegacyClient, LEGACY_HEADER, legacyCodec } from './legacy-answers.ts';
import { MessageStream } from './message-stream.ts';
import type { ClientStreamMethod, Method, MethodName, ServerStreamMethod, UnaryMethod } from './method.ts';

/** Runs `method` for the request. Never rejects: every failure is an answer. */
export async function serveMethod(
  method: Method,
  name: MethodName,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const isStream = method.kind !== 'unary';
  if (request.method !== 'POST') {
    response.writeHead(405, { allow: 'POST' }).end();
    return;
  }
  let codec = await codecFor(request.headers['content-type'], isStream, name);
  if (codec === undefined) {
    response.writeHead(415, { 'accept-post': acceptedTypes(isStream) }).end();
    return;
  }
  if (isLegacyClient(request.headers['user-agent'])) {
    response.setHeader(LEGACY_HEADER, 'true');
    codec = legacyCodec(codec, name);
  }
  if (method.kind === 'unary') await serveUnary(method, codec, request, response);
  else await serveStream(method, codec, request, response);
}

/** A unary error as an answer of its own, also for paths that name no method. */
export function answerUnaryError(response: ServerResponse, error: ConnectError, status?: number): void {
  if (response.headersSent || response.destroyed) return;
  const body = JSON.stringify(error.toBody());
  response.writeHead(status ?? connectCodes[error.code], {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

async function serveUnary(
  method: UnaryMethod,
  codec: Codec,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const compression = await requestCompression(request.headers['content-encoding'], response, 'accept-encoding');
    const call = readCall(request, response);
    const body = await readBody(request);
    // An empty body is an empty message, in whatever encoding.
    const message = codec.decode(body.length === 0 ? body : (compression?.decompress(body) ?? body));
    let answer = codec.encode(await method.handle(message, call));
    if (response.destroyed) return;
    if (answer.length >= MIN_COMPRESSED_BYTES) {
      const accepted = await answerCompression(request.headers['accept-encoding']);
      if (accepted !== undefined) {
        response.setHeader('content-encoding', accepted.name);
        answer = accepted.compress(answer);
      }
    }
    response.writeHead(200, { 'content-type': codec.unaryType, 'content-length': answer.length });
    response.end(answer);
  } catch (error) {
    giveUpOnBody(request, response);
    answerUnaryError(response, ConnectError.from(error));
  }
}

async function serveStream(
  method: ServerStreamMethod | ClientStreamMethod,
  codec: Codec,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const accepted = await answerCompression(request.headers['connect-accept-encoding']);
  const stream = new MessageStream(response, codec, accepted);
  try {
    response.statusCode = 200;
    response.setHeader('content-type', codec.streamType);
    if (accepted !== undefined) response.setHeader('connect-content-encoding', accepted.name);
    const compression = await requestCompression(
      request.headers['connect-content-encoding'],
      response,
      'connect-accept-encoding',
    );
    const call = readCall(request, response);
    if (method.kind === 'server-stream') {
      await method.handle(await readSingleMessage(request, codec, compression), call, stream);
    } else {
      stream.send(await method.handle(readMessages(request, codec, compression), call));
      stream.end();
    }
  } catch (error) {
    giveUpOnBody(request, response);
    stream.end(ConnectError.from(error));
  }
}

/** What is left of a refused body is read and dropped, so that the client gets to read the answer. */
function giveUpOnBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete || response.headersSent) return;
  response.once('finish', () => discardRest(request));
}
