import { Module } from '@nestjs/common';
import { DesktopHostModule } from '@tyrum/desktops/nest';

/** What runs in the desktop runtime's process. */
@Module({ imports: [DesktopHostModule] })
export class DesktopRuntimeModule {}
