import { DesktopCreateBody, DesktopMoveBody } from './desktops';
import type { RouteSpec } from './route-spec';

/** Routes for desktops that hosts keep. */
export const DESKTOP_ROUTES = {
  'POST /v1/desktop-environments': {
    summary: 'Create a desktop; a host takes it up and makes it a paired node',
    scope: 'operator.admin',
    status: 201,
    body: DesktopCreateBody,
    keyed: true,
  },
  'GET /v1/desktop-environments': { summary: 'Desktops', scope: 'operator.read', status: 200 },
  'GET /v1/desktop-environments/:id': { summary: 'A desktop', scope: 'operator.read', status: 200 },
  'POST /v1/desktop-environments/:id/start': {
    summary: 'Have a desktop run',
    scope: 'operator.write',
    status: 202,
    keyed: true,
  },
  'POST /v1/desktop-environments/:id/stop': {
    summary: 'Have a desktop stop; what is open on it ends, its files stay',
    scope: 'operator.write',
    status: 202,
    keyed: true,
  },
  'POST /v1/desktop-environments/:id/move': {
    summary: 'Give a desktop to another host, where it starts empty and as another node',
    scope: 'operator.admin',
    status: 202,
    body: DesktopMoveBody,
    keyed: true,
  },
  'DELETE /v1/desktop-environments/:id': {
    summary: 'Delete a desktop with its files, and revoke its node',
    scope: 'operator.admin',
    status: 204,
  },
} as const satisfies Record<string, RouteSpec>;
