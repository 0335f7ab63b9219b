"""The whole store on one machine: its processes (`stack`), its people and goods (`story`)."""
