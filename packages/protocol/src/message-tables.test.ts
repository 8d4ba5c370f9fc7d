import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  type DescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
} from '@bufbuild/protobuf/wkt';
import { filesystemMessages } from './filesystem-messages.ts';
import type { Field } from './message-table.ts';
import { portsMessages } from './ports-messages.ts';
import { processMessages } from './process-messages.ts';
import { e2bDescriptors } from './testing/e2b-descriptors.ts';
import { parseProto } from './testing/parse-proto.ts';

const services = [
  ['process', processMessages],
  ['filesystem', filesystemMessages],
  ['ports', portsMessages],
] as const;

for (const [name, table] of services) {
  const proto = parseProto(readFileSync(new URL(`../proto/${name}.proto`, import.meta.url), 'utf8'));
  const official = e2bDescriptors().get(name)?.proto;

  test(`the table of ${name} says what ${name}.proto says`, () => {
    assert.deepEqual(table.messages, proto.messages);
    assert.deepEqual(table.enums, proto.enums);
  });

  test(`the messages of every method of ${name} bear its name, as the codec supposes`, () => {
    for (const [method, types] of Object.entries(proto.methods)) {
      const [request, response] = types.map((type) => type.replace('stream ', ''));
      assert.deepEqual([request, response], [`${method}Request`, `${method}Response`]);
      assert.ok(`${method}Request` in table.messages && `${method}Response` in table.messages, method);
    }
  });

  if (official === undefined) continue;

  test(`${name}.proto has the messages, numbers and methods of the installed e2b client`, () => {
    assert.deepEqual(proto.messages, Object.fromEntries(official.messageType.flatMap((type) => fieldsOf(type, ''))));
    const enums = official.enumType.map((type) => [
      type.name,
      Object.fromEntries(type.value.map((value) => [value.name, value.number])),
    ]);
    assert.deepEqual(proto.enums, Object.fromEntries(enums));
    const [service] = official.service;
    assert.equal(`${proto.package}.${proto.service}`, `${official.package}.${service!.name}`);
    const methods = service!.method.map((method) => [
      method.name,
      [
        (method.clientStreaming ? 'stream ' : '') + local(method.inputType),
        (method.serverStreaming ? 'stream ' : '') + local(method.outputType),
      ],
    ]);
    assert.deepEqual(proto.methods, Object.fromEntries(methods));
  });
}

/** A message and those inside it, in the form of a table. */
function fieldsOf(type: DescriptorProto, outer: string): [string, Record<string, Field>][] {
  const name = outer + type.name;
  const entries = type.field.map((field) => [field.jsonName, describe(field, type)] as const);
  const inner = type.nestedType.filter((nested) => !nested.options?.mapEntry);
  return [[name, Object.fromEntries(entries)], ...inner.flatMap((nested) => fieldsOf(nested, `${name}.`))];
}

function describe(field: FieldDescriptorProto, type: DescriptorProto): Field {
  const map = type.nestedType.find((nested) => nested.options?.mapEntry && field.typeName.endsWith(`.${nested.name}`));
  if (map !== undefined) return [field.number, 'string', 'map'];
  const named = field.typeName === '' ? FieldDescriptorProto_Type[field.type].toLowerCase() : local(field.typeName);
  if (field.label === FieldDescriptorProto_Label.REPEATED) return [field.number, named, 'repeated'];
  const oneof = Object.hasOwn(field, 'oneofIndex') && !field.proto3Optional;
  return oneof ? [field.number, named, 'oneof'] : [field.number, named];
}

/** A type's name without the package, which is the table's. */
function local(typeName: string): string {
  return typeName.replace(/^\.(process|filesystem)\./, '').replace(/^\./, '');
}
