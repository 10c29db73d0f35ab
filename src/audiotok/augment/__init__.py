"""What training changes in its clips, so that a model hears each of them in many ways."""
