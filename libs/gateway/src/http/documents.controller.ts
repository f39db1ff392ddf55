import { Controller, Get, Header } from '@nestjs/common';
import asyncapi from './asyncapi.json';
import openapi from './openapi.json';

/** The contracts themselves, for whoever generates a client from them. They hold no secret and need no token. */
@Controller()
export class DocumentsController {
  @Get('openapi.json')
  @Header('Cache-Control', 'public, max-age=300')
  openapi(): object {
    return openapi;
  }

  @Get('asyncapi.json')
  @Header('Cache-Control', 'public, max-age=300')
  asyncapi(): object {
    return asyncapi;
  }
}
