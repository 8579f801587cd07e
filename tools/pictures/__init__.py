"""Pictures that loradeck draws itself: charts, sample grids, contact sheets. Pillow; imported late."""
