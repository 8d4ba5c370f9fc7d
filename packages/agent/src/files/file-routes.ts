// /files: reading and writing whole files over plain HTTP.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { discardRest } from '../http/discard-rest.ts';
import { answerError } from '../http/json-answer.ts';
import type { Settings } from '../init/settings.ts';
import { download } from './download.ts';
import { FileError } from './file-error.ts';
import { readFileRequest } from './file-request.ts';
import { upload } from './upload.ts';

/** Checks the access by itself, because a signature in the URL can stand for the token. */
export async function serveFiles(
  request: IncomingMessage,
  response: ServerResponse,
  settings: Settings,
  root: string,
): Promise<void> {
  try {
    if (request.method === 'POST') {
      await upload(readFileRequest(request, settings, root, 'write'), request, response);
    } else if (request.method === 'GET' || request.method === 'HEAD') {
      await download(readFileRequest(request, settings, root, 'read'), request, response);
    } else {
      response.setHeader('allow', 'GET, HEAD, POST');
      throw new FileError(405, `${request.method} is not a method of /files`);
    }
  } catch (error) {
    if (response.headersSent || response.destroyed) {
      // The answer has begun: only its breaking off tells the client.
      response.destroy();
      return;
    }
    if (!(error instanceof FileError)) throw error;
    answerError(response, error.status, error.message);
    if (!request.complete) discardRest(request);
  }
}
