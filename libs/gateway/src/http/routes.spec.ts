import 'reflect-metadata';
import { RequestMethod } from '@nestjs/common';
import { HTTP_CODE_METADATA, METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants';
import { PlatformModule } from '@tyrum/platform';
import { loadConfig } from '@tyrum/platform';
import { memoryLogger } from '@tyrum/platform/testing';
import { ROUTES, type RouteScope, type RouteSpec } from '@tyrum/protocol';
import { GatewayModule } from '../gateway.module';
import { SCOPE } from './request-principal';

interface Served {
  readonly scope: RouteScope;
  readonly status: number;
}

/** What the controllers themselves say they serve. */
function served(): Map<string, Served> {
  const config = loadConfig('edge', {});
  const modules = [GatewayModule.forRoot(), PlatformModule.forRoot(config, memoryLogger().logger)];
  const controllers = modules.flatMap((module) => module.controllers ?? []) as (new () => object)[];
  return new Map(controllers.flatMap(routesOf));
}

function routesOf(controller: new () => object): [string, Served][] {
  const base = [Reflect.getMetadata(PATH_METADATA, controller) as string | string[]].flat()[0] ?? '';
  const prototype = controller.prototype as Record<string, object>;
  return Object.getOwnPropertyNames(prototype).flatMap((name): [string, Served][] => {
    const handler = prototype[name] as object;
    const method = Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod | undefined;
    if (method === undefined) return [];
    const verb = RequestMethod[method];
    const status =
      (Reflect.getMetadata(HTTP_CODE_METADATA, handler) as number | undefined) ?? (verb === 'POST' ? 201 : 200);
    const scope = (Reflect.getMetadata(SCOPE, handler) as RouteScope | undefined) ?? null;
    return [Reflect.getMetadata(PATH_METADATA, handler) as string | string[]]
      .flat()
      .map((path) => [`${verb} ${`/${base}/${path}`.replace(/\/+/g, '/').replace(/(.)\/$/, '$1')}`, { scope, status }]);
  });
}

it('serves exactly the routes of the contract, under their scopes and statuses', () => {
  const contract = Object.entries(ROUTES as Record<string, RouteSpec>).map(([route, { scope, status }]) => [
    route,
    { scope, status },
  ]);
  expect(Object.fromEntries(served())).toEqual(Object.fromEntries(contract));
});
