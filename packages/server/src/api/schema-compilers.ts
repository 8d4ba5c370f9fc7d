// What checks requests and writes answers is compiled from the schemas of a route when the route is first asked: to compile
// those of all routes is a tenth of what a start of the server takes.
import AjvCompiler from '@fastify/ajv-compiler';
import SerializerSelector from '@fastify/fast-json-stringify-compiler';
import type { FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify';

// A number where a string belongs is an error of the caller, not something to turn into a string.
const customOptions = { coerceTypes: false, removeAdditional: false, allErrors: false };
const buildValidator = AjvCompiler()({}, { customOptions });
const buildSerializer = SerializerSelector()({});

export interface Compilers {
  readonly validator: FastifySchemaCompiler<object>;
  readonly serializer: FastifySerializerCompiler<object>;
}

export const eagerCompilers: Compilers = {
  validator: ({ schema }) => {
    const validate = buildValidator({ schema });
    // Of a function that answers false, Fastify asks for its own errors.
    return (data) => (validate(data) === false ? { error: validate.errors ?? [] } : true);
  },
  serializer: ({ schema, method, url, httpStatus = '' }) => buildSerializer({ schema, method, url, httpStatus }),
};

export const lazyCompilers: Compilers = {
  validator: atFirstUse(eagerCompilers.validator),
  serializer: atFirstUse(eagerCompilers.serializer),
};

function atFirstUse<Route, Data, Result>(
  compile: (route: Route) => (data: Data) => Result,
): (route: Route) => (data: Data) => Result {
  return (route) => {
    let compiled: ((data: Data) => Result) | undefined;
    return (data) => {
      compiled ??= compile(route);
      return compiled(data);
    };
  };
}
