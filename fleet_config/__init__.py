"""What both programs need of files that people edit."""
